-- What the order console reads.

-- name: console_recent
-- The newest orders.
SELECT id FROM trellis_orders ORDER BY created_at DESC, id DESC LIMIT :most;

-- name: console_others$
-- How many orders there are beside these.
SELECT count(*) FROM trellis_orders WHERE id <> ALL(:known::text[]);

-- name: console_orders
-- The orders of some events as they stand now, with those events and all attempts; all events of the orders named. Amounts in cents.
-- An order's first event is older than its row: until then every column of the order is null.
SELECT
    n.order_id,
    o.state,
    o.policy,
    o.faults_json ->> 'scenario' AS scenario,
    o.review,
    o.address_json,
    (o.amount * 100)::bigint AS amount_cents,
    (SELECT coalesce(sum(w.amount * 100) FILTER (WHERE w.kind = 'charge'), 0)::bigint
     FROM world.payment_entries AS w WHERE w.order_id = n.order_id) AS charged_cents,
    (SELECT coalesce(sum(-w.amount * 100) FILTER (WHERE w.kind = 'refund'), 0)::bigint
     FROM world.payment_entries AS w WHERE w.order_id = n.order_id) AS refunded_cents,
    o.stop_reason,
    o.stopped_by,
    o.tracking,
    o.deadline_seconds,
    o.started_at,
    o.closed_at,
    clock_timestamp() AS read_at,
    n.events,
    (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.start_event_id), '[]')
     FROM trellis_attempts AS a WHERE a.order_id = n.order_id) AS attempts
FROM (
    SELECT e.order_id, jsonb_agg(to_jsonb(e) ORDER BY e.id) AS events
    FROM trellis_events AS e
    WHERE e.id = ANY(:event_ids::bigint[]) OR e.order_id = ANY(:order_ids::text[])
    GROUP BY e.order_id
) AS n
LEFT JOIN trellis_orders AS o ON o.id = n.order_id
ORDER BY o.created_at NULLS LAST, n.order_id;
