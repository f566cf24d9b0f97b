-- Positions in the write-ahead log of a primary and its replica.

-- name: primary_position$
-- Up to where a primary has written.
SELECT (pg_current_wal_lsn() - '0/0')::bigint;

-- name: replica_position$
-- Up to where a replica has replayed; NULL where the server is none.
SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END;
