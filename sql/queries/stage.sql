-- What the stage shows.

-- name: stage_orders
-- The newest orders, oldest first: where each stands, and of each step how often it was tried, how it ended, who has it. Amounts in cents.
SELECT
    o.id AS order_id,
    o.state,
    o.deadline_seconds,
    extract(EPOCH FROM coalesce(o.closed_at, clock_timestamp()) - o.started_at)::double precision AS age_seconds,
    o.closed_at IS NOT NULL AS closed,
    coalesce(o.stop_reason, '') AS stop_reason,
    (SELECT coalesce(jsonb_object_agg(s.step, jsonb_build_object(
        'tries', s.tries, 'lost', s.tries - s.ended - CASE WHEN s.outcome IS NULL THEN 1 ELSE 0 END,
        'outcome', s.outcome, 'outcomes', s.outcomes, 'worker', s.worker, 'last', s.last_id
    )), '{}')
    FROM (
        SELECT
            b.step,
            count(*) AS tries,
            count(e.id) AS ended,
            max(b.id) AS last_id,
            (array_agg(e.outcome ORDER BY b.id DESC))[1] AS outcome,
            (array_agg(coalesce(e.outcome, '') ORDER BY b.id DESC))[1 : 6] AS outcomes,
            (array_agg(b.worker ORDER BY b.id DESC))[1] AS worker
        FROM trellis_events AS b
        LEFT JOIN trellis_events AS e ON e.order_id = b.order_id AND e.run_id = b.run_id
            AND e.activity_id = b.activity_id AND e.attempt = b.attempt AND e.type = 'step_ended'
        WHERE b.order_id = o.id AND b.type = 'step_started'
        GROUP BY b.step
    ) AS s) AS steps
FROM (SELECT * FROM trellis_orders ORDER BY created_at DESC, id DESC LIMIT :most) AS o
ORDER BY o.created_at, o.id;

-- name: stage_balance^
-- All orders against the payment provider's and the carrier's own ledgers.
SELECT
    (SELECT count(*) FROM trellis_orders) AS orders,
    (SELECT count(*) FROM trellis_orders WHERE closed_at IS NULL) AS open,
    (SELECT count(*) FROM trellis_orders WHERE state = 'shipped') AS shipped,
    (SELECT count(*) FROM world.payment_keys WHERE charged_at IS NOT NULL AND voided_at IS NULL) AS taken,
    (SELECT count(*) FROM world.payment_keys WHERE charged_at IS NOT NULL AND voided_at IS NOT NULL) AS given_back,
    (SELECT count(*) FROM world.shipments WHERE dispatched_at IS NOT NULL AND recalled_at IS NULL) AS sent;
