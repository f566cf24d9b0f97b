-- The attempts' starts and ends, and what is read back.

-- name: note_attempts
-- Starts and ends of many attempts; repeated writes add nothing. Returns what is new.
INSERT INTO trellis_events (
    order_id, type, step, attempt, outcome, error, worker, workflow_id, run_id, activity_id, payload_json
)
SELECT order_id, type, step, attempt, outcome, error, worker, workflow_id, run_id, activity_id,
    jsonb_strip_nulls(jsonb_build_object('fault', nullif(fault, 'ok'), 'limit_seconds', limit_seconds))
FROM unnest(
    :order_id_list::text[], :type_list::text[], :step_list::text[], :attempt_list::integer[], :outcome_list::text[],
    :error_list::text[], :worker_list::text[], :workflow_id_list::text[], :run_id_list::text[], :activity_id_list::text[],
    :fault_list::text[], :limit_seconds_list::double precision[]
) AS note (
    order_id, type, step, attempt, outcome, error, worker, workflow_id, run_id, activity_id, fault, limit_seconds
)
ON CONFLICT (run_id, activity_id, attempt, type) WHERE run_id IS NOT NULL DO NOTHING
RETURNING run_id, activity_id, attempt, type;

-- name: attempt_started_again$
-- The start of an attempt whose number is taken, since a person reset its activity: under the next number. Returns that.
INSERT INTO trellis_events (
    order_id, type, step, attempt, worker, workflow_id, run_id, activity_id, payload_json
)
SELECT
    :order_id, 'step_started', :step, max(attempt) + 1, :worker, :workflow_id, :run_id, :activity_id,
    jsonb_strip_nulls(
        jsonb_build_object('fault', nullif(:fault::text, 'ok'), 'limit_seconds', :limit_seconds::double precision, 'reset', true)
    )
FROM trellis_events WHERE run_id = :run_id AND activity_id = :activity_id AND type = 'step_started'
RETURNING attempt;

-- name: note_about_workflow!
-- What a workflow, or somebody who watches it, notes about it; repeated writes add nothing.
INSERT INTO trellis_events (order_id, type, payload_json, run_id, activity_id)
VALUES (:order_id, :event, :payload, :run_id, :note_id)
ON CONFLICT (run_id, activity_id, type) WHERE run_id IS NOT NULL AND step IS NULL DO NOTHING;

-- name: order_events
-- An order's events after one of them, oldest first.
SELECT * FROM trellis_events WHERE order_id = :order_id AND id > :after_id ORDER BY id LIMIT :most;

-- name: order_attempts
-- An order's attempts in the order they started.
SELECT * FROM trellis_attempts WHERE order_id = :order_id ORDER BY start_event_id;

-- name: attempts_of_orders
-- The attempts of many orders: order by order as they are named, and in the order they started.
SELECT a.*
FROM unnest(:order_ids::text[]) WITH ORDINALITY AS named (order_id, place)
JOIN trellis_attempts AS a ON a.order_id = named.order_id
ORDER BY named.place, a.start_event_id;

-- name: order_timeline
-- An order's timeline.
SELECT * FROM trellis_timeline WHERE order_id = :order_id ORDER BY event_id;

-- name: order_summary^
-- One order's line.
SELECT * FROM trellis_order_summary WHERE order_id = :order_id;

-- name: summaries_of_orders
-- A line for each of many orders, as they are named; an unknown order has none.
SELECT s.*
FROM unnest(:order_ids::text[]) WITH ORDINALITY AS named (order_id, place)
JOIN (SELECT * FROM trellis_order_summary WHERE order_id = ANY(:order_ids::text[])) AS s ON s.order_id = named.order_id
ORDER BY named.place;

-- name: list_orders
-- Orders, newest first; filters that are null are off; pages by (created_at, id) of the last row seen.
SELECT o.id, o.state, o.policy, o.faults_json ->> 'scenario' AS scenario, o.amount, o.stop_reason, o.created_at, o.closed_at,
    o.deadline_seconds, extract(EPOCH FROM o.closed_at - o.started_at)::double precision AS duration_seconds
FROM trellis_orders AS o
WHERE (:state::text IS NULL OR o.state = :state)
    AND (:prefix::text IS NULL OR starts_with(o.id, :prefix))
    AND (:before_created_at::timestamptz IS NULL OR (o.created_at, o.id) < (:before_created_at, :before_id::text))
ORDER BY o.created_at DESC, o.id DESC
LIMIT :most;

-- name: count_orders$
-- How many orders there are; filters that are null are off.
SELECT count(*) FROM trellis_orders AS o
WHERE (:state::text IS NULL OR o.state = :state) AND (:prefix::text IS NULL OR starts_with(o.id, :prefix));
