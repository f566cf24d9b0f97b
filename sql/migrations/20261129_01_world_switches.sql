-- Switches of the outside world: whether the payment provider and the carrier are up
-- depends: 20261128_01_notify_statements

-- migrate: apply

CREATE TABLE world.switches (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text NOT NULL,
    state text NOT NULL,
    ts timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT switches_service_check CHECK (service IN ('payments', 'carrier')),
    CONSTRAINT switches_state_check CHECK (state IN ('up', 'slow', 'down', 'declining'))
);

CREATE INDEX switches_service_idx ON world.switches (service, id);

COMMENT ON TABLE world.switches IS 'Each change of the outside world''s switches. A service is in the state of its newest row, and up without one.';
COMMENT ON COLUMN world.switches.id IS 'Grows with each change.';
COMMENT ON COLUMN world.switches.service IS 'payments (the payment provider) or carrier.';
COMMENT ON COLUMN world.switches.state IS 'up, slow (answers late), down (does not answer, and does nothing), or declining (refuses what is new).';
COMMENT ON COLUMN world.switches.ts IS 'When.';

-- migrate: rollback

DROP TABLE world.switches;
