-- Error tracking: which attempts did not complete.

-- name: failures
-- Attempts since a moment that failed, timed out or were lost, by time, step and kind, with the newest error of each.
SELECT
    date_bin(make_interval(secs => :bucket_seconds::double precision), a.started_at, '2000-01-01T00:00:00Z') AS ts,
    a.step,
    a.outcome,
    CASE a.outcome
        WHEN 'failed' THEN coalesce(substring(a.error FROM '^(\w+):'), 'unknown')
        WHEN 'timed_out' THEN 'no answer in time'
        ELSE 'worker lost'
    END AS kind,
    count(*)::integer AS attempts,
    count(DISTINCT a.order_id)::integer AS orders,
    (array_agg(a.error ORDER BY a.start_event_id DESC))[1] AS last_error
FROM trellis_attempts AS a
WHERE a.outcome IN ('failed', 'timed_out', 'lost')
    AND a.started_at >= :since
    AND (:order_ids::text [] IS NULL OR a.order_id = any(:order_ids))
GROUP BY 1, a.step, a.outcome, kind
ORDER BY 1, a.step, kind;
