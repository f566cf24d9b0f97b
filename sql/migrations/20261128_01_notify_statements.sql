-- One notification for all events of a statement, instead of one for each row
-- depends: 20261127_01_comments

-- migrate: apply

CREATE FUNCTION trellis_notify_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- PostgreSQL takes less than 8,000 bytes: forty ids of events and orders are far from it.
    PERFORM pg_notify('trellis_events', json_agg(json_build_array(id, order_id) ORDER BY id)::text)
    FROM (SELECT id, left(order_id, 100) AS order_id, row_number() OVER (ORDER BY id) AS place FROM new_events) AS numbered
    GROUP BY (place - 1) / 40;
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION trellis_notify_statement() IS 'Tells listeners of the channel trellis_events about the events of each statement as they are committed: a list of pairs, event id and order id.';

DROP TRIGGER trellis_events_notify ON trellis_events;
DROP FUNCTION trellis_notify();
CREATE TRIGGER trellis_events_notify AFTER INSERT ON trellis_events
REFERENCING NEW TABLE AS new_events
FOR EACH STATEMENT EXECUTE FUNCTION trellis_notify_statement();

-- migrate: rollback

DROP TRIGGER trellis_events_notify ON trellis_events;
DROP FUNCTION trellis_notify_statement();
CREATE FUNCTION trellis_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'trellis_events',
        json_build_object('id', new.id, 'order_id', new.order_id, 'type', new.type)::text
    );
    RETURN NULL;
END;
$$;
COMMENT ON FUNCTION trellis_notify() IS 'Tells listeners of the channel trellis_events about each event as it is committed.';
CREATE TRIGGER trellis_events_notify AFTER INSERT ON trellis_events
FOR EACH ROW EXECUTE FUNCTION trellis_notify();
