-- Orders and payments. Every change of state is one conditional statement that writes its event with it.

-- name: create_order^
-- Creates an order's row with its first event; returns nothing when the row was there already.
WITH created AS (
    INSERT INTO trellis_orders (
        id, state, address_json, items_json, amount, payment_id, review, policy, faults_json, deadline_seconds,
        workflow_id, request_digest, first_run_id, started_at
    )
    VALUES (
        :order_id, 'received', :address, :items, :amount, :payment_id, :review, :policy, :faults, :deadline_seconds,
        :workflow_id, :request_digest, :first_run_id, :started_at
    )
    ON CONFLICT (id) DO NOTHING
    RETURNING id, amount, policy
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT id, 'order_received', jsonb_build_object('amount', amount, 'policy', policy) FROM created
RETURNING id;

-- name: move_order^
-- Moves an order along an allowed transition; returns nothing when its state forbids it.
WITH moved AS (
    UPDATE trellis_orders
    SET state = :to_state,
        updated_at = clock_timestamp(),
        closed_at = CASE WHEN :to_state = 'shipped' THEN clock_timestamp() END
    WHERE id = :order_id AND state = ANY(:from_states::text[])
    RETURNING id
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT id, :event, :payload::jsonb FROM moved
RETURNING id;

-- name: order_state$
-- An order's state, or nothing.
SELECT state FROM trellis_orders WHERE id = :order_id;

-- name: order_row^
-- An order's whole row, or nothing.
SELECT * FROM trellis_orders WHERE id = :order_id;

-- name: open_payment^
-- Approves an order and notes its payment as pending. Returns the payment's order, or nothing when the state forbids it.
WITH approved AS (
    UPDATE trellis_orders SET state = 'approved', updated_at = clock_timestamp()
    WHERE id = :order_id AND state IN ('validated', 'in_review')
    RETURNING id
), event AS (
    INSERT INTO trellis_events (order_id, type, payload_json)
    SELECT id, 'order_approved', :approval::jsonb FROM approved
), allowed AS (
    SELECT id FROM approved
    UNION
    SELECT id FROM trellis_orders WHERE id = :order_id AND state = 'approved'
)
INSERT INTO trellis_payments AS p (payment_id, order_id, status, amount)
SELECT :payment_id, id, 'pending', :amount FROM allowed
ON CONFLICT (payment_id) DO UPDATE SET updated_at = p.updated_at
RETURNING p.order_id, p.status;

-- name: payment_charged^
-- Notes a payment as charged and moves the order on, together; returns nothing when the order was stopped meanwhile.
WITH moved AS (
    UPDATE trellis_orders SET state = 'charged', updated_at = clock_timestamp()
    WHERE id = :order_id AND state = 'approved'
    RETURNING id
), payment AS (
    UPDATE trellis_payments SET status = 'charged', updated_at = clock_timestamp()
    WHERE payment_id = :payment_id AND order_id IN (SELECT id FROM moved)
    RETURNING payment_id, amount
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT moved.id, 'payment_charged', jsonb_build_object('amount', payment.amount) FROM moved, payment
RETURNING id;

-- name: payment_declined!
-- Notes a payment as declined, once.
WITH declined AS (
    UPDATE trellis_payments SET status = 'declined', updated_at = clock_timestamp()
    WHERE payment_id = :payment_id AND order_id = :order_id AND status = 'pending'
    RETURNING order_id
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT order_id, 'payment_declined', jsonb_build_object('reason', :reason::text) FROM declined;

-- name: payment_voided!
-- Notes a payment as refunded, or as voided when nothing had gone through; once. A declined one stays declined.
WITH voided AS (
    INSERT INTO trellis_payments AS p (payment_id, order_id, status, amount)
    SELECT :payment_id, :order_id, :status, :amount
    ON CONFLICT (payment_id) DO UPDATE SET status = excluded.status, updated_at = clock_timestamp()
    WHERE p.order_id = excluded.order_id AND p.status IN ('pending', 'charged')
    RETURNING order_id, status
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT order_id, 'payment_' || status, jsonb_build_object('amount', :refunded::numeric(12, 2)) FROM voided;

-- name: order_address^
-- The address for the label, with its version.
SELECT state, address_json, address_version FROM trellis_orders WHERE id = :order_id;

-- name: change_address^
-- Changes the address before dispatch; the same address again changes nothing. Returns nothing when it is too late.
WITH before AS (
    SELECT id, address_json FROM trellis_orders WHERE id = :order_id FOR UPDATE
), changed AS (
    UPDATE trellis_orders AS o
    SET address_json = :address,
        address_version = o.address_version + 1,
        updated_at = clock_timestamp()
    FROM before
    WHERE o.id = before.id
        AND o.state IN ('received', 'validated', 'in_review', 'approved', 'charged', 'prepared')
        AND before.address_json <> :address::jsonb
    RETURNING o.id
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT id, 'address_changed', jsonb_build_object('updated_by', :updated_by::text, 'superseded', :superseded::integer)
FROM changed
RETURNING id;

-- name: order_dispatched^
-- Passes the point of no return with the address that is on the label; returns nothing when state or address changed.
WITH moved AS (
    UPDATE trellis_orders
    SET state = 'dispatched', tracking = :tracking, updated_at = clock_timestamp()
    WHERE id = :order_id AND state = 'prepared' AND address_version = :address_version
    RETURNING id
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT id, 'carrier_dispatched', jsonb_build_object('tracking', :tracking::text) FROM moved
RETURNING id;

-- name: stop_order^
-- Stops an order that is not dispatched yet; returns nothing when it is, or when it was stopped before.
WITH moved AS (
    UPDATE trellis_orders
    SET state = 'compensating',
        stop_kind = :kind,
        stop_reason = :reason,
        stopped_by = :by,
        updated_at = clock_timestamp()
    WHERE id = :order_id AND state IN ('received', 'validated', 'in_review', 'approved', 'charged', 'prepared')
    RETURNING id
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT id, 'order_stopped', jsonb_build_object('kind', :kind::text, 'reason', :reason::text, 'by', :by::text) FROM moved
RETURNING id;

-- name: last_forward_attempt^
-- An order with the newest attempt of these steps; the attempt's columns are null where there was none.
SELECT o.state, o.deadline_seconds, a.step, a.attempt, a.outcome, a.error
FROM trellis_orders AS o
LEFT JOIN LATERAL (
    SELECT step, attempt, outcome, error FROM trellis_attempts
    WHERE order_id = o.id AND step = ANY(:steps::text[])
    ORDER BY start_event_id DESC LIMIT 1
) AS a ON true
WHERE o.id = :order_id;

-- name: shipment_recalled!
-- Notes once that the carrier was told to give the package back.
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT id, 'shipment_recalled', jsonb_build_object('had_package', :had_package::boolean)
FROM trellis_orders AS o
WHERE o.id = :order_id
ON CONFLICT (order_id) WHERE type = 'shipment_recalled' DO NOTHING;

-- name: close_order^
-- Gives a stopped order its final state.
WITH moved AS (
    UPDATE trellis_orders
    SET state = :state, updated_at = clock_timestamp(), closed_at = clock_timestamp()
    WHERE id = :order_id AND state = 'compensating'
    RETURNING id
)
INSERT INTO trellis_events (order_id, type, payload_json)
SELECT id, 'order_' || :state::text, jsonb_build_object('reason', :reason::text) FROM moved
RETURNING id;

-- name: open_orders
-- Orders that have not ended, oldest first.
SELECT id, payment_id, workflow_id FROM trellis_orders WHERE closed_at IS NULL ORDER BY created_at, id LIMIT :most;
