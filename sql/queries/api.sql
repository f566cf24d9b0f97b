-- What the REST API reads.

-- name: order_status^
-- Everything about an order's state in one row: its columns, its payment, the step in hand, attempts by step, the last errors.
WITH attempts AS MATERIALIZED (
    SELECT step, attempt, outcome, error, started_at, ended_at, start_event_id
    FROM trellis_attempts
    WHERE order_id = :order_id
)
SELECT
    o.id,
    o.state,
    o.deadline_seconds,
    greatest(0, o.deadline_seconds - extract(EPOCH FROM clock_timestamp() - o.started_at))::double precision AS left_seconds,
    extract(EPOCH FROM o.closed_at - o.started_at) <= o.deadline_seconds AS within_deadline,
    o.stop_reason,
    o.stopped_by,
    o.amount,
    o.tracking,
    o.review,
    o.policy,
    o.faults_json ->> 'scenario' AS scenario,
    o.workflow_id,
    o.started_at,
    o.updated_at,
    o.closed_at,
    p.status AS payment_status,
    p.amount AS payment_amount,
    (SELECT a.step FROM attempts AS a WHERE a.step <> 'address' ORDER BY a.start_event_id DESC LIMIT 1) AS step,
    (
        SELECT jsonb_object_agg(c.step, c.made)
        FROM (SELECT a.step, count(*) AS made FROM attempts AS a GROUP BY a.step) AS c
    ) AS attempts,
    (
        SELECT jsonb_agg(to_jsonb(l) ORDER BY l.ts DESC)
        FROM (
            SELECT a.step, a.attempt, coalesce(a.ended_at, a.started_at) AS ts, a.outcome, a.error
            FROM attempts AS a
            WHERE a.outcome NOT IN ('completed', 'running')
            ORDER BY a.start_event_id DESC
            LIMIT 5
        ) AS l
    ) AS errors,
    (
        SELECT CASE WHEN f.type = 'workflow_failing' AND o.closed_at IS NULL THEN f.payload_json END
        FROM trellis_events AS f
        WHERE f.order_id = o.id AND f.type IN ('workflow_failing', 'workflow_recovered')
        ORDER BY f.id DESC LIMIT 1
    ) AS failing
FROM trellis_orders AS o
LEFT JOIN trellis_payments AS p ON p.payment_id = o.payment_id AND p.order_id = o.id
WHERE o.id = :order_id;

-- name: order_identity^
-- Whether an order exists, equals a request, and is still open.
SELECT state, request_digest, closed_at FROM trellis_orders WHERE id = :order_id;

-- name: failing_orders
-- Open orders with a workflow whose newest note says that its task fails: that note.
SELECT f.order_id, f.payload_json
FROM (
    SELECT DISTINCT ON (order_id) order_id, type, payload_json FROM trellis_events
    WHERE type IN ('workflow_failing', 'workflow_recovered')
    ORDER BY order_id, id DESC
) AS f
LEFT JOIN trellis_orders AS o ON o.id = f.order_id
WHERE f.type = 'workflow_failing' AND o.closed_at IS NULL;

-- name: check_schema$
-- Returns nothing; fails if a table is missing.
SELECT 1 FROM trellis_orders, trellis_events LIMIT 0;
