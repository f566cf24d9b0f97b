-- What benchmarks do to a database of their own.

-- name: notifications_off!
-- Events are no longer told to listeners.
ALTER TABLE trellis_events DISABLE TRIGGER trellis_events_notify;

-- name: notifications_on!
-- Events are told to listeners.
ALTER TABLE trellis_events ENABLE TRIGGER trellis_events_notify;

-- name: make_orders!
-- Shipped orders number :first to :last, a second apart, the last one now, with their payments and what the world's ledgers hold.
WITH made AS (
    INSERT INTO trellis_orders (
        id, state, address_json, items_json, amount, payment_id, review, policy, faults_json, deadline_seconds, workflow_id,
        request_digest, started_at, created_at, updated_at, closed_at
    )
    SELECT 'made-' || n, 'shipped', '{"street": "1 Main Street", "city": "Springfield", "state": "IL", "zip": "62701", "country": "US", "name": ""}',
        '[{"sku": "TEA", "quantity": 1, "unit_price_cents": 1000}]', 10.00, 'pay-made-' || n, 'none', 'spec',
        '{"scenario": "calm", "seed": 0, "script": {}}', 15, 'order-made-' || n, 'made', at, at, at, at + interval '800 milliseconds'
    FROM generate_series(:first::integer, :last::integer) AS n,
        LATERAL (SELECT now() - (:last::integer - n) * interval '1 second' AS at) AS moment
    RETURNING id, payment_id, amount, address_json, created_at
), payments AS (
    INSERT INTO trellis_payments (payment_id, order_id, status, amount, created_at, updated_at)
    SELECT payment_id, id, 'charged', amount, created_at, created_at FROM made
), keys AS (
    INSERT INTO world.payment_keys (key, order_id, amount, charged_at) SELECT payment_id, id, amount, created_at FROM made
), money AS (
    INSERT INTO world.payment_entries (key, order_id, kind, amount, ts)
    SELECT payment_id, id, 'charge', amount, created_at FROM made
), packages AS (
    INSERT INTO world.shipments (key, order_id, tracking, label_json, dispatched_at)
    SELECT id, id, 'TRK', address_json, created_at FROM made
)
INSERT INTO world.shipment_entries (key, order_id, kind, ts) SELECT id, id, 'dispatch', created_at FROM made;

-- name: make_events!
-- The eighteen events of a calm order, for orders number :first to :last: six steps with start and end, and what they did.
INSERT INTO trellis_events (
    order_id, type, step, attempt, outcome, error, worker, workflow_id, run_id, activity_id, payload_json, ts
)
SELECT 'made-' || n, event.type, event.step, event.attempt, event.outcome, event.error, event.worker,
    CASE WHEN event.step IS NOT NULL THEN 'order-made-' || n END,
    CASE WHEN event.step IS NOT NULL THEN 'run-' || n END,
    event.step, '{}', now() - (:last::integer - n) * interval '1 second' + event.place * interval '40 milliseconds'
FROM generate_series(:first::integer, :last::integer) AS n,
    LATERAL (
        SELECT step, 3 * number + part AS place,
            CASE part WHEN 0 THEN 'step_started' WHEN 2 THEN 'step_ended' ELSE done END AS type,
            CASE WHEN part = 2 THEN 'completed' END AS outcome,
            CASE WHEN part = 2 THEN '' END AS error
        FROM (VALUES
            (0, 'receive', 'order_received'), (1, 'validate', 'order_validated'), (2, 'charge', 'payment_charged'),
            (3, 'prepare', 'package_prepared'), (4, 'dispatch', 'carrier_dispatched'), (5, 'ship', 'order_shipped')
        ) AS steps (number, step, done), generate_series(0, 2) AS part
    ) AS made,
    LATERAL (
        SELECT made.type, made.place, made.outcome, made.error,
            CASE WHEN made.type LIKE 'step%' THEN made.step END AS step,
            CASE WHEN made.type LIKE 'step%' THEN 1 END AS attempt,
            CASE WHEN made.type LIKE 'step%' THEN 'made:1' END AS worker
    ) AS event;

-- name: count_events$
-- How many events there are.
SELECT count(*) FROM trellis_events;

-- name: analyze_orders!
-- Fresh statistics, as autovacuum gives them sooner or later.
ANALYZE trellis_orders, trellis_events;

-- name: size_of_events$
-- Bytes of the events with their indexes.
SELECT pg_total_relation_size('trellis_events');
