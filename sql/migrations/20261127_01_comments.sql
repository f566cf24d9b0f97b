-- What each table, view and column holds, where every client of PostgreSQL shows it; docs/reference/tables.md lists it
-- depends: 20261126_01_refusals

-- migrate: apply

COMMENT ON TABLE trellis_orders IS 'One row an order: what was asked for, where it stands, and how it ended.';
COMMENT ON COLUMN trellis_orders.id IS 'The id that the caller chose; its workflow is called order-{id}.';
COMMENT ON COLUMN trellis_orders.state IS 'Where the order stands. One conditional statement moves it from a state to the next, so two that race each other cannot both win.';
COMMENT ON COLUMN trellis_orders.address_json IS 'Where the package goes: street, city, state, zip, country, name.';
COMMENT ON COLUMN trellis_orders.address_version IS 'Grows with each change of the address. A dispatch names the version that is on its label, and is refused if another one is current.';
COMMENT ON COLUMN trellis_orders.items_json IS 'What is bought: a list of sku, quantity and unit_price_cents.';
COMMENT ON COLUMN trellis_orders.amount IS 'What the customer pays: the sum of the items.';
COMMENT ON COLUMN trellis_orders.payment_id IS 'The idempotency key of the payment: pay-{id}, or the caller''s own.';
COMMENT ON COLUMN trellis_orders.review IS 'Who approves the order: auto (a timer), human (a person), or none.';
COMMENT ON COLUMN trellis_orders.policy IS 'The name of the retry policy. The policy itself is in the workflow''s history.';
COMMENT ON COLUMN trellis_orders.faults_json IS 'The fault plan that travels with the order: scenario, seed, script.';
COMMENT ON COLUMN trellis_orders.deadline_seconds IS 'The order must be decided within this time of its start.';
COMMENT ON COLUMN trellis_orders.workflow_id IS 'The order''s workflow in Temporal.';
COMMENT ON COLUMN trellis_orders.request_digest IS 'A digest of the start request. It tells a repeated request from a different one under the same id.';
COMMENT ON COLUMN trellis_orders.stop_kind IS 'The state in which a stopped order ends: cancelled, rejected or failed. NULL: it was not stopped.';
COMMENT ON COLUMN trellis_orders.stop_reason IS 'Why the order was stopped. NULL: it was not.';
COMMENT ON COLUMN trellis_orders.stopped_by IS 'Who stopped the order: a person, or the part of the system that did. NULL: it was not stopped.';
COMMENT ON COLUMN trellis_orders.tracking IS 'The carrier''s tracking number. NULL: the carrier does not have the package.';
COMMENT ON COLUMN trellis_orders.started_at IS 'When Temporal started the workflow; the deadline counts from here.';
COMMENT ON COLUMN trellis_orders.created_at IS 'When the row was written.';
COMMENT ON COLUMN trellis_orders.updated_at IS 'When the row last changed.';
COMMENT ON COLUMN trellis_orders.closed_at IS 'When the order ended. NULL: it is open.';
COMMENT ON COLUMN trellis_orders.first_run_id IS 'The first run of the workflow that created the order. A reset keeps it; another workflow of the same name has another. NULL: the order is older than this column.';

COMMENT ON TABLE trellis_payments IS 'What the order system believes about a payment. The provider''s own ledger is in schema world.';
COMMENT ON COLUMN trellis_payments.payment_id IS 'The idempotency key at the payment provider. It belongs to one order.';
COMMENT ON COLUMN trellis_payments.order_id IS 'The order that is paid for.';
COMMENT ON COLUMN trellis_payments.status IS 'pending: a charge may be under way. charged and declined: the provider has answered. refunded: a charge was given back. voided: nothing had gone through, and nothing can any more.';
COMMENT ON COLUMN trellis_payments.amount IS 'What is charged.';
COMMENT ON COLUMN trellis_payments.created_at IS 'When the payment was opened, before the provider was asked.';
COMMENT ON COLUMN trellis_payments.updated_at IS 'When the status was last written.';

COMMENT ON TABLE trellis_events IS 'Everything that happened, one row an event; rows are only added. The columns from step on are filled for attempts; notes about a workflow have run_id and activity_id too. Each new row notifies the channel trellis_events with its id, order and type.';
COMMENT ON COLUMN trellis_events.id IS 'Grows with each event; the order in which clients read on.';
COMMENT ON COLUMN trellis_events.order_id IS 'The order to which it happened.';
COMMENT ON COLUMN trellis_events.type IS 'What happened: one of the event types.';
COMMENT ON COLUMN trellis_events.payload_json IS 'Details of this type of event. The start of an attempt has its fault and limit_seconds.';
COMMENT ON COLUMN trellis_events.ts IS 'When the row was written, by PostgreSQL''s clock.';
COMMENT ON COLUMN trellis_events.step IS 'The attempt''s step.';
COMMENT ON COLUMN trellis_events.attempt IS 'The attempt''s number, from 1.';
COMMENT ON COLUMN trellis_events.outcome IS 'How the attempt ended: completed, failed, timed_out or cancelled. NULL: this event is no attempt''s end.';
COMMENT ON COLUMN trellis_events.error IS 'Type and message of the attempt''s error; empty if it completed. NULL: this event is no attempt''s end.';
COMMENT ON COLUMN trellis_events.worker IS 'The worker process that ran the attempt.';
COMMENT ON COLUMN trellis_events.workflow_id IS 'The workflow that asked for the attempt.';
COMMENT ON COLUMN trellis_events.run_id IS 'The run of the workflow that asked for the attempt, or about which this is a note.';
COMMENT ON COLUMN trellis_events.activity_id IS 'Temporal''s id of the activity, or the id of a note. With run, attempt and type it makes an attempt''s row unique, however often the write is repeated.';

COMMENT ON VIEW trellis_attempts IS 'Each attempt of each step, with its start and its end on one line.';
COMMENT ON COLUMN trellis_attempts.order_id IS 'The order.';
COMMENT ON COLUMN trellis_attempts.step IS 'The step.';
COMMENT ON COLUMN trellis_attempts.attempt IS 'The attempt''s number, from 1.';
COMMENT ON COLUMN trellis_attempts.started_at IS 'When its start was written, by PostgreSQL''s clock.';
COMMENT ON COLUMN trellis_attempts.ended_at IS 'When its end was written. NULL: nobody wrote one.';
COMMENT ON COLUMN trellis_attempts.duration_seconds IS 'From start to end.';
COMMENT ON COLUMN trellis_attempts.outcome IS 'How it ended, running, or lost: its worker died, or its answer came too late, since another attempt followed or its time limit is over.';
COMMENT ON COLUMN trellis_attempts.error IS 'Type and message of its error; empty if there was none.';
COMMENT ON COLUMN trellis_attempts.worker IS 'The worker process that ran it.';
COMMENT ON COLUMN trellis_attempts.workflow_id IS 'The workflow that asked for it.';
COMMENT ON COLUMN trellis_attempts.run_id IS 'The run of that workflow.';
COMMENT ON COLUMN trellis_attempts.activity_id IS 'Temporal''s id of the activity.';
COMMENT ON COLUMN trellis_attempts.start_event_id IS 'The event of its start; sort by it to have attempts in the order they began.';

COMMENT ON VIEW trellis_timeline IS 'An order''s life on one axis: attempts as bars, all other events as points.';
COMMENT ON COLUMN trellis_timeline.order_id IS 'The order.';
COMMENT ON COLUMN trellis_timeline.kind IS 'attempt or event.';
COMMENT ON COLUMN trellis_timeline.name IS 'The attempt''s step, or the event''s type.';
COMMENT ON COLUMN trellis_timeline.attempt IS 'The attempt''s number. NULL: an event.';
COMMENT ON COLUMN trellis_timeline.outcome IS 'The attempt''s outcome, as in trellis_attempts. NULL: an event.';
COMMENT ON COLUMN trellis_timeline.detail IS 'The attempt''s error, or the event''s reason or note.';
COMMENT ON COLUMN trellis_timeline.workflow_id IS 'The workflow that asked for the attempt; for an event, the order''s workflow.';
COMMENT ON COLUMN trellis_timeline.started_at IS 'When it began or happened.';
COMMENT ON COLUMN trellis_timeline.ended_at IS 'When it ended; the same as started_at for an event and for an attempt without an end.';
COMMENT ON COLUMN trellis_timeline.start_seconds IS 'When it began, in seconds since the order''s start.';
COMMENT ON COLUMN trellis_timeline.end_seconds IS 'When it ended, in seconds since the order''s start.';
COMMENT ON COLUMN trellis_timeline.event_id IS 'The event, or the event of the attempt''s start.';

COMMENT ON VIEW trellis_order_summary IS 'One line an order: how it ended, how long it took, and how often it was retried.';
COMMENT ON COLUMN trellis_order_summary.order_id IS 'The order.';
COMMENT ON COLUMN trellis_order_summary.state IS 'Where it stands, or how it ended.';
COMMENT ON COLUMN trellis_order_summary.policy IS 'The name of its retry policy.';
COMMENT ON COLUMN trellis_order_summary.scenario IS 'The scenario of its fault plan.';
COMMENT ON COLUMN trellis_order_summary.amount IS 'What the customer pays.';
COMMENT ON COLUMN trellis_order_summary.stop_reason IS 'Why it was stopped. NULL: it was not.';
COMMENT ON COLUMN trellis_order_summary.started_at IS 'When Temporal started the workflow.';
COMMENT ON COLUMN trellis_order_summary.closed_at IS 'When it ended. NULL: it is open.';
COMMENT ON COLUMN trellis_order_summary.duration_seconds IS 'From start to end. NULL: it is open.';
COMMENT ON COLUMN trellis_order_summary.deadline_seconds IS 'The time in which it must be decided.';
COMMENT ON COLUMN trellis_order_summary.within_deadline IS 'Whether it ended in that time. NULL: it is open.';
COMMENT ON COLUMN trellis_order_summary.attempts IS 'Attempts of all its steps.';
COMMENT ON COLUMN trellis_order_summary.retries IS 'Those of them that were not the first of their step.';

COMMENT ON SCHEMA world IS 'The outside world, simulated: a payment provider and a carrier. Only their own idempotent API writes here, so that a double charge or a lost refund shows as a fact.';

COMMENT ON TABLE world.payment_keys IS 'The payment provider: one row an idempotency key.';
COMMENT ON COLUMN world.payment_keys.key IS 'The idempotency key, our payment_id.';
COMMENT ON COLUMN world.payment_keys.order_id IS 'The order for which the key was first used. Another order is refused under it.';
COMMENT ON COLUMN world.payment_keys.amount IS 'The amount of the charge; 0 if the key was voided before any charge.';
COMMENT ON COLUMN world.payment_keys.charged_at IS 'When the customer was charged. NULL: never.';
COMMENT ON COLUMN world.payment_keys.voided_at IS 'When the key was voided; every later charge is refused. NULL: it was not.';

COMMENT ON TABLE world.payment_entries IS 'The payment provider''s ledger: money that moved, and requests that were refused.';
COMMENT ON COLUMN world.payment_entries.id IS 'Grows with each entry.';
COMMENT ON COLUMN world.payment_entries.key IS 'The idempotency key of the request.';
COMMENT ON COLUMN world.payment_entries.order_id IS 'The order for which it was made.';
COMMENT ON COLUMN world.payment_entries.kind IS 'charge, refund (a charge given back), void (nothing to give back), or refused.';
COMMENT ON COLUMN world.payment_entries.amount IS 'What the customer paid; negative for a refund, 0 for a void. For refused: what was asked for.';
COMMENT ON COLUMN world.payment_entries.ts IS 'When.';

COMMENT ON TABLE world.shipments IS 'The carrier: one row an idempotency key.';
COMMENT ON COLUMN world.shipments.key IS 'The idempotency key of the dispatch: the order''s id.';
COMMENT ON COLUMN world.shipments.order_id IS 'The order that is shipped.';
COMMENT ON COLUMN world.shipments.tracking IS 'The tracking number. NULL: the carrier never had the package.';
COMMENT ON COLUMN world.shipments.label_json IS 'The address on the label. NULL: the carrier never had the package.';
COMMENT ON COLUMN world.shipments.dispatched_at IS 'When the carrier took the package. NULL: never.';
COMMENT ON COLUMN world.shipments.recalled_at IS 'When the key was recalled: the package was given back, and every later dispatch is refused. NULL: it was not.';

COMMENT ON TABLE world.shipment_entries IS 'The carrier''s ledger.';
COMMENT ON COLUMN world.shipment_entries.id IS 'Grows with each entry.';
COMMENT ON COLUMN world.shipment_entries.key IS 'The idempotency key of the request.';
COMMENT ON COLUMN world.shipment_entries.order_id IS 'The order for which it was made.';
COMMENT ON COLUMN world.shipment_entries.kind IS 'dispatch, relabel (a new address), recall (the package was given back), void (there was none to give back), or refused.';
COMMENT ON COLUMN world.shipment_entries.ts IS 'When.';

COMMENT ON FUNCTION trellis_notify() IS 'Tells listeners of the channel trellis_events about each event as it is committed.';

-- migrate: rollback

COMMENT ON SCHEMA world IS NULL;
