-- Orders, payments, events; the outside world's ledgers; views; notifications
-- depends:

-- migrate: apply

-- An order. `state` follows the transitions of orderkit/core/orders.py.
CREATE TABLE trellis_orders (
    id text PRIMARY KEY,
    state text NOT NULL,
    address_json jsonb NOT NULL,
    address_version integer NOT NULL DEFAULT 1,
    items_json jsonb NOT NULL,
    amount numeric(12, 2) NOT NULL,
    payment_id text NOT NULL,
    review text NOT NULL,
    policy text NOT NULL,
    faults_json jsonb NOT NULL,
    deadline_seconds double precision NOT NULL,
    workflow_id text NOT NULL,
    request_digest text NOT NULL,
    stop_kind text,
    stop_reason text,
    stopped_by text,
    tracking text,
    started_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at timestamptz,
    CONSTRAINT trellis_orders_state_check CHECK (
        state IN (
            'received', 'validated', 'in_review', 'approved', 'charged', 'prepared', 'dispatched', 'shipped',
            'compensating', 'cancelled', 'rejected', 'failed'
        )
    ),
    CONSTRAINT trellis_orders_closed_check CHECK (
        (closed_at IS NOT NULL) = (state IN ('shipped', 'cancelled', 'rejected', 'failed'))
    )
);

CREATE INDEX trellis_orders_created_at_idx ON trellis_orders (created_at DESC, id);
CREATE INDEX trellis_orders_state_idx ON trellis_orders (state, created_at DESC);
CREATE INDEX trellis_orders_open_idx ON trellis_orders (created_at) WHERE closed_at IS NULL;

-- What we believe about a payment; the provider's own ledger is in schema world.
CREATE TABLE trellis_payments (
    payment_id text PRIMARY KEY,
    order_id text NOT NULL,
    status text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT trellis_payments_status_check CHECK (
        status IN ('pending', 'charged', 'declined', 'refunded', 'voided')
    )
);

CREATE INDEX trellis_payments_order_id_idx ON trellis_payments (order_id);

-- Everything that happened. The columns from `step` on are filled for attempts only.
CREATE TABLE trellis_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id text NOT NULL,
    type text NOT NULL,
    payload_json jsonb NOT NULL DEFAULT '{}',
    ts timestamptz NOT NULL DEFAULT clock_timestamp(),
    step text,
    attempt integer,
    outcome text,
    error text,
    worker text,
    workflow_id text,
    run_id text,
    activity_id text
);

CREATE INDEX trellis_events_order_id_idx ON trellis_events (order_id, id);
CREATE INDEX trellis_events_ts_idx ON trellis_events (ts);
-- An attempt writes its start once and its end once, however often the write is repeated.
CREATE UNIQUE INDEX trellis_events_attempt_key ON trellis_events (run_id, activity_id, attempt, type)
WHERE run_id IS NOT NULL;

-- The outside world. Only its own API (orderkit/store/world.py) writes here.
CREATE SCHEMA world;

-- The payment provider: one row per idempotency key.
CREATE TABLE world.payment_keys (
    key text PRIMARY KEY,
    order_id text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    charged_at timestamptz,
    voided_at timestamptz
);

-- The provider's ledger: money that moved, and requests it refused.
CREATE TABLE world.payment_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL,
    order_id text NOT NULL,
    kind text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    ts timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT payment_entries_kind_check CHECK (kind IN ('charge', 'refund', 'void', 'refused'))
);

CREATE INDEX payment_entries_order_id_idx ON world.payment_entries (order_id);

-- The carrier: one row per idempotency key.
CREATE TABLE world.shipments (
    key text PRIMARY KEY,
    order_id text NOT NULL,
    tracking text,
    label_json jsonb,
    dispatched_at timestamptz,
    recalled_at timestamptz
);

CREATE INDEX shipments_order_id_idx ON world.shipments (order_id);

-- The carrier's ledger.
CREATE TABLE world.shipment_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL,
    order_id text NOT NULL,
    kind text NOT NULL,
    ts timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT shipment_entries_kind_check CHECK (kind IN ('dispatch', 'relabel', 'recall', 'void', 'refused'))
);

CREATE INDEX shipment_entries_order_id_idx ON world.shipment_entries (order_id);

-- Each attempt of each step: start, end, duration. An attempt without an end is `running`, or `lost` once something
-- later proves that nobody will end it: a later attempt of the same activity, or the order's end. An attempt that
-- completed is `lost`, too, when another one followed: its answer never reached Temporal, or came too late.
CREATE VIEW trellis_attempts AS
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

-- An order's life on one axis: its attempts as bars, everything else as points. Seconds since the order's start.
CREATE VIEW trellis_timeline AS
SELECT
    a.order_id,
    'attempt' AS kind,
    a.step AS name,
    a.attempt,
    a.outcome,
    a.error AS detail,
    a.workflow_id,
    a.started_at,
    coalesce(a.ended_at, a.started_at) AS ended_at,
    extract(EPOCH FROM a.started_at - o.started_at)::double precision AS start_seconds,
    extract(EPOCH FROM coalesce(a.ended_at, a.started_at) - o.started_at)::double precision AS end_seconds,
    a.start_event_id AS event_id
FROM trellis_attempts AS a
JOIN trellis_orders AS o ON o.id = a.order_id
UNION ALL
SELECT
    e.order_id,
    'event',
    e.type,
    NULL,
    NULL,
    coalesce(e.payload_json ->> 'reason', e.payload_json ->> 'note', ''),
    o.workflow_id,
    e.ts,
    e.ts,
    extract(EPOCH FROM e.ts - o.started_at)::double precision,
    extract(EPOCH FROM e.ts - o.started_at)::double precision,
    e.id
FROM trellis_events AS e
JOIN trellis_orders AS o ON o.id = e.order_id
WHERE e.step IS NULL;

-- One line per order: how it ended, how long it took, how often it was retried.
CREATE VIEW trellis_order_summary AS
SELECT
    o.id AS order_id,
    o.state,
    o.policy,
    o.faults_json ->> 'scenario' AS scenario,
    o.amount,
    o.stop_reason,
    o.started_at,
    o.closed_at,
    extract(EPOCH FROM o.closed_at - o.started_at)::double precision AS duration_seconds,
    o.deadline_seconds,
    extract(EPOCH FROM o.closed_at - o.started_at) <= o.deadline_seconds AS within_deadline,
    count(e.id) FILTER (WHERE e.type = 'step_started')::integer AS attempts,
    count(e.id) FILTER (WHERE e.type = 'step_started' AND e.attempt > 1)::integer AS retries
FROM trellis_orders AS o
LEFT JOIN trellis_events AS e ON e.order_id = o.id
GROUP BY o.id;

-- Listeners hear of every event as it is committed.
CREATE FUNCTION trellis_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'trellis_events',
        json_build_object('id', new.id, 'order_id', new.order_id, 'type', new.type)::text
    );
    RETURN NULL;
END;
$$;

CREATE TRIGGER trellis_events_notify AFTER INSERT ON trellis_events
FOR EACH ROW EXECUTE FUNCTION trellis_notify();

-- migrate: rollback

DROP VIEW trellis_order_summary, trellis_timeline, trellis_attempts;
DROP TABLE trellis_events, trellis_payments, trellis_orders;
DROP FUNCTION trellis_notify();
DROP SCHEMA world CASCADE;
