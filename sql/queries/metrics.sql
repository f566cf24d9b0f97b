-- What GET /metrics counts.

-- name: order_totals
-- Orders by state and by how long they took (bucket 0 ends at the first of :bounds, and so on), and the refunds, as one more line.
SELECT
    o.state,
    -- Half a microsecond less: a Prometheus bucket includes its upper bound, and timestamps are whole microseconds.
    width_bucket(o.seconds - 0.0000005, :bounds::double precision []) AS bucket,
    count(*) AS number,
    coalesce(sum(o.seconds), 0)::double precision AS total,
    count(*) FILTER (WHERE o.is_late) AS late,
    count(*) FILTER (WHERE o.is_late AND o.is_open) AS overdue
FROM (
    SELECT
        state,
        closed_at IS NULL AS is_open,
        extract(EPOCH FROM closed_at - started_at)::double precision AS seconds,
        extract(EPOCH FROM coalesce(closed_at, clock_timestamp()) - started_at) > deadline_seconds AS is_late
    FROM trellis_orders
) AS o
GROUP BY o.state, bucket
UNION ALL
SELECT
    'refunds',
    NULL,
    count(*),
    coalesce(sum(amount), 0)::double precision,
    0,
    0
FROM trellis_payments
WHERE status = 'refunded';
