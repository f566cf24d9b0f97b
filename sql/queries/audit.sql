-- What the auditor compares: one row an order, with its events and the outside world's ledgers.

-- name: audit_workflows
-- The workflow of each order in the order they were created: of those named (all when null), created since then (ever when null).
SELECT id, workflow_id, first_run_id FROM trellis_orders
WHERE (:order_ids::text[] IS NULL OR id = ANY(:order_ids::text[]))
    AND (:since::timestamptz IS NULL OR created_at >= :since)
ORDER BY created_at, id;

-- name: audit_orders
-- Orders by id, with payments, events, and both ledgers as JSON.
SELECT
    o.*,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('payment_id', p.payment_id, 'status', p.status, 'cents', (p.amount * 100)::bigint)), '[]')
     FROM trellis_payments AS p WHERE p.order_id = o.id) AS payments,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', e.id, 'type', e.type, 'step', e.step, 'attempt', e.attempt, 'outcome', e.outcome, 'error', e.error,
        'run_id', e.run_id, 'activity_id', e.activity_id, 'reset', e.payload_json ? 'reset') ORDER BY e.id), '[]')
     FROM trellis_events AS e WHERE e.order_id = o.id) AS events,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('key', w.key, 'kind', w.kind, 'cents', (w.amount * 100)::bigint) ORDER BY w.id), '[]')
     FROM world.payment_entries AS w WHERE w.order_id = o.id) AS money,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'key', s.key, 'out', s.dispatched_at IS NOT NULL AND s.recalled_at IS NULL, 'label', s.label_json)), '[]')
     FROM world.shipments AS s WHERE s.order_id = o.id) AS shipments,
    extract(EPOCH FROM coalesce(o.closed_at, clock_timestamp()) - o.started_at)::double precision AS age_seconds,
    extract(EPOCH FROM clock_timestamp() - o.closed_at)::double precision AS closed_since_seconds
FROM trellis_orders AS o
WHERE o.id = ANY(:order_ids::text[]);

-- name: ledger_without_order
-- Money or packages in the outside world, since then (ever when null), that belong to no order of ours.
SELECT order_id, 'payment ' || kind AS what FROM world.payment_entries AS w
WHERE kind IN ('charge', 'refund')
    AND (:since::timestamptz IS NULL OR w.ts >= :since)
    AND NOT EXISTS (SELECT 1 FROM trellis_orders AS o WHERE o.id = w.order_id)
UNION ALL
SELECT order_id, 'shipment' FROM world.shipments AS w
WHERE dispatched_at IS NOT NULL AND recalled_at IS NULL
    AND (:since::timestamptz IS NULL OR w.dispatched_at >= :since)
    AND NOT EXISTS (SELECT 1 FROM trellis_orders AS o WHERE o.id = w.order_id);

-- name: orders_named
-- State and time to the end of the orders named.
SELECT id, state, extract(EPOCH FROM closed_at - started_at)::double precision AS seconds, closed_at
FROM trellis_orders WHERE id = ANY(:order_ids::text[]);

-- name: attempt_gaps
-- How long after the start of an attempt the next one started: of the same activity, or after its success of whichever.
WITH starts AS (
    SELECT s.step, s.ts, e.outcome, s.payload_json ->> 'fault' AS fault,
        row_number() OVER activity AS nth,
        lead(s.ts) OVER activity AS retried_at,
        lead(s.ts) OVER (PARTITION BY s.order_id ORDER BY s.id) AS followed_at
    FROM trellis_events AS s
    LEFT JOIN trellis_events AS e
        ON e.run_id = s.run_id AND e.activity_id = s.activity_id AND e.attempt = s.attempt AND e.type = 'step_ended'
    WHERE s.type = 'step_started' AND s.order_id = ANY(:order_ids::text[])
    WINDOW activity AS (PARTITION BY s.run_id, s.activity_id ORDER BY s.id)
), gaps AS (
    SELECT step, outcome, nth, extract(EPOCH FROM retried_at - ts)::double precision AS seconds
    FROM starts WHERE outcome IN ('failed', 'timed_out') AND retried_at IS NOT NULL
    UNION ALL
    SELECT step, outcome, nth, extract(EPOCH FROM followed_at - ts)::double precision
    FROM starts WHERE outcome = 'completed' AND fault IS NULL AND retried_at IS NULL AND followed_at IS NOT NULL
)
SELECT step, outcome, nth, count(*) AS attempts, avg(seconds) AS seconds FROM gaps GROUP BY step, outcome, nth;

-- name: attempts_made^
-- How many attempts the orders named took, and how many of them were tries again.
SELECT count(*) AS attempts, count(*) FILTER (WHERE attempt > 1) AS retries FROM trellis_events
WHERE type = 'step_started' AND order_id = ANY(:order_ids::text[]);
