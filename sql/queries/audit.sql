-- What the auditor compares: one row an order, with its events and the outside world's ledgers.

-- name: audit_orders
-- Orders by id (all when null), with payments, events, and both ledgers as JSON.
SELECT
    o.*,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('payment_id', p.payment_id, 'status', p.status, 'cents', (p.amount * 100)::bigint)), '[]')
     FROM trellis_payments AS p WHERE p.order_id = o.id) AS payments,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', e.id, 'type', e.type, 'step', e.step, 'attempt', e.attempt, 'outcome', e.outcome, 'error', e.error,
        'run_id', e.run_id, 'activity_id', e.activity_id) ORDER BY e.id), '[]')
     FROM trellis_events AS e WHERE e.order_id = o.id) AS events,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('key', w.key, 'kind', w.kind, 'cents', (w.amount * 100)::bigint) ORDER BY w.id), '[]')
     FROM world.payment_entries AS w WHERE w.order_id = o.id) AS money,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'key', s.key, 'out', s.dispatched_at IS NOT NULL AND s.recalled_at IS NULL, 'label', s.label_json)), '[]')
     FROM world.shipments AS s WHERE s.order_id = o.id) AS shipments,
    extract(EPOCH FROM coalesce(o.closed_at, clock_timestamp()) - o.started_at)::double precision AS age_seconds,
    extract(EPOCH FROM clock_timestamp() - o.closed_at)::double precision AS closed_since_seconds
FROM trellis_orders AS o
WHERE :order_ids::text[] IS NULL OR o.id = ANY(:order_ids::text[])
ORDER BY o.created_at, o.id;

-- name: ledger_without_order
-- Money or packages in the outside world that belong to no order of ours.
SELECT order_id, 'payment ' || kind AS what FROM world.payment_entries
WHERE kind IN ('charge', 'refund') AND order_id NOT IN (SELECT id FROM trellis_orders)
UNION ALL
SELECT order_id, 'shipment' FROM world.shipments
WHERE dispatched_at IS NOT NULL AND recalled_at IS NULL AND order_id NOT IN (SELECT id FROM trellis_orders);

-- name: orders_named
-- State and time to the end of the orders named.
SELECT id, state, extract(EPOCH FROM closed_at - started_at)::double precision AS seconds
FROM trellis_orders WHERE id = ANY(:order_ids::text[]);

-- name: attempt_overhead$
-- What an attempt costs besides its faults, seconds: from the start of one step to the start of the next, when nothing failed.
SELECT coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(EPOCH FROM following - ts)), 0.03)::double precision
FROM (
    SELECT e.ts, e.order_id, lead(e.ts) OVER (PARTITION BY e.order_id ORDER BY e.id) AS following, e.step,
        lead(e.step) OVER (PARTITION BY e.order_id ORDER BY e.id) AS next_step,
        EXISTS (SELECT 1 FROM trellis_events AS d WHERE d.run_id = e.run_id AND d.activity_id = e.activity_id
            AND d.attempt = e.attempt AND d.outcome = 'completed') AS fine
    FROM trellis_events AS e
    WHERE e.type = 'step_started' AND e.order_id = ANY(:order_ids::text[])
) AS starts
WHERE fine AND next_step <> step AND step <> 'review' AND following IS NOT NULL;
