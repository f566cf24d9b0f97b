-- Which workflow owns an order; refused messages and failing workflow tasks as events; when an attempt is lost
-- depends: 20261123_01_orders

-- migrate: apply

-- The first run of the workflow that created the order; a reset keeps it, another workflow has another. NULL: an order
-- from before this column.
ALTER TABLE trellis_orders ADD COLUMN first_run_id text;

-- What a workflow notes about itself, it notes once, however often the write is repeated.
CREATE UNIQUE INDEX trellis_events_note_key ON trellis_events (run_id, activity_id, type)
WHERE run_id IS NOT NULL AND step IS NULL;

-- Who watches for failing workflows asks every other second.
CREATE INDEX trellis_events_failing_idx ON trellis_events (order_id, id) WHERE type IN ('workflow_failing', 'workflow_recovered');

-- The carrier is told once. Two attempts of the same recall could both find that nobody had noted it.
DELETE FROM trellis_events AS e
USING trellis_events AS earlier
WHERE e.type = 'shipment_recalled' AND earlier.type = e.type AND earlier.order_id = e.order_id AND earlier.id < e.id;
CREATE UNIQUE INDEX trellis_events_recall_key ON trellis_events (order_id) WHERE type = 'shipment_recalled';

-- Each attempt of each step: start, end, duration. An attempt without an end is `running`, until something proves that
-- nobody will end it: a later attempt of the same activity, or its time limit, after which its worker would have ended
-- it. (`limit_seconds` is in the start's payload. Of attempts from before it, the order's end is the proof.) An attempt
-- that completed is `lost`, too, when another one followed: its answer never reached Temporal, or came too late.
CREATE OR REPLACE VIEW trellis_attempts AS
SELECT
    s.order_id,
    s.step,
    s.attempt,
    s.ts AS started_at,
    e.ts AS ended_at,
    extract(EPOCH FROM e.ts - s.ts)::double precision AS duration_seconds,
    CASE
        WHEN e.outcome <> 'completed' THEN e.outcome
        WHEN EXISTS (
            SELECT 1 FROM trellis_events AS l
            WHERE l.order_id = s.order_id AND l.run_id = s.run_id AND l.activity_id = s.activity_id
                AND l.type = 'step_started' AND l.attempt > s.attempt
        ) THEN 'lost'
        WHEN e.outcome IS NOT NULL THEN e.outcome
        -- A second more than the limit and the worker's own grace: the end is written after the attempt has ended.
        WHEN s.payload_json ? 'limit_seconds' THEN CASE
            WHEN clock_timestamp() - s.ts > make_interval(secs => (s.payload_json ->> 'limit_seconds')::double precision + 1.1)
                THEN 'lost'
            ELSE 'running'
        END
        WHEN EXISTS (
            SELECT 1 FROM trellis_orders AS o
            WHERE o.id = s.order_id AND o.closed_at IS NOT NULL
                -- The step that ends an order notes its own end just after. Were it lost, another attempt would follow.
                AND s.step <> CASE o.state WHEN 'shipped' THEN 'ship' ELSE 'close' END
        ) THEN 'lost'
        ELSE 'running'
    END AS outcome,
    coalesce(e.error, '') AS error,
    s.worker,
    s.workflow_id,
    s.run_id,
    s.activity_id,
    s.id AS start_event_id
FROM trellis_events AS s
LEFT JOIN trellis_events AS e
    ON e.order_id = s.order_id AND e.run_id = s.run_id AND e.activity_id = s.activity_id
    AND e.attempt = s.attempt AND e.type = 'step_ended'
WHERE s.type = 'step_started';

-- migrate: rollback

DROP INDEX trellis_events_failing_idx, trellis_events_note_key, trellis_events_recall_key;
ALTER TABLE trellis_orders DROP COLUMN first_run_id;
