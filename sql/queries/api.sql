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
    ) AS errors
FROM trellis_orders AS o
LEFT JOIN trellis_payments AS p ON p.payment_id = o.payment_id AND p.order_id = o.id
WHERE o.id = :order_id;

-- name: order_identity^
-- What tells whether an order is there, the same, and still open.
SELECT state, request_digest, closed_at FROM trellis_orders WHERE id = :order_id;

-- name: check_schema$
-- Nothing, where the tables exist.
SELECT 1 FROM trellis_orders, trellis_events LIMIT 0;
