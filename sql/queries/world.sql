-- The outside world: the payment provider's and the carrier's own idempotent API. Nothing else writes to schema world.

-- name: provider_charge^
-- Charges once per key. Returns the key's row, and whether this request created it.
WITH request AS (
    INSERT INTO world.payment_keys AS k (key, order_id, amount, charged_at)
    VALUES (:key, :order_id, :amount, clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET key = k.key
    RETURNING k.key, k.order_id, k.amount, k.charged_at, k.voided_at, old.key IS NULL AS created
), entry AS (
    INSERT INTO world.payment_entries (key, order_id, kind, amount)
    SELECT key, :order_id, CASE WHEN created THEN 'charge' ELSE 'refused' END, :amount FROM request
    WHERE created OR voided_at IS NOT NULL OR order_id <> :order_id OR amount <> :amount
)
SELECT * FROM request;

-- name: provider_void^
-- Voids a key: refunds what went through under it, refuses what comes later. Returns nothing for another order's key.
WITH request AS (
    INSERT INTO world.payment_keys AS k (key, order_id, amount, voided_at)
    VALUES (:key, :order_id, 0, clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET voided_at = coalesce(k.voided_at, clock_timestamp())
    WHERE k.order_id = excluded.order_id
    RETURNING k.key, k.order_id, k.amount, k.charged_at IS NOT NULL AS charged, old.voided_at IS NULL AS first
), entry AS (
    INSERT INTO world.payment_entries (key, order_id, kind, amount)
    SELECT key, order_id, CASE WHEN charged THEN 'refund' ELSE 'void' END, CASE WHEN charged THEN -amount ELSE 0 END
    FROM request WHERE first
)
SELECT * FROM request;

-- name: carrier_dispatch^
-- Takes the package once per key; another address prints a new label; a recalled key is refused. Returns the row.
WITH request AS (
    INSERT INTO world.shipments AS s (key, order_id, tracking, label_json, dispatched_at)
    VALUES (:key, :order_id, :tracking, :label, clock_timestamp())
    ON CONFLICT (key) DO UPDATE
    SET label_json = CASE WHEN s.recalled_at IS NULL THEN excluded.label_json ELSE s.label_json END
    RETURNING s.key, s.order_id, s.tracking, s.recalled_at, old.key IS NULL AS created, old.label_json <> s.label_json AS relabelled
), entry AS (
    INSERT INTO world.shipment_entries (key, order_id, kind)
    SELECT key, order_id,
        CASE WHEN created THEN 'dispatch' WHEN recalled_at IS NOT NULL THEN 'refused' ELSE 'relabel' END
    FROM request WHERE created OR recalled_at IS NOT NULL OR relabelled
)
SELECT * FROM request;

-- name: carrier_recall^
-- Recalls by key: gives the package back if there is one, refuses it later. Returns whether there was one.
WITH request AS (
    INSERT INTO world.shipments AS s (key, order_id, recalled_at)
    VALUES (:key, :order_id, clock_timestamp())
    ON CONFLICT (key) DO UPDATE SET recalled_at = coalesce(s.recalled_at, clock_timestamp())
    RETURNING s.key, s.order_id, s.dispatched_at IS NOT NULL AS dispatched, old.recalled_at IS NULL AS first
), entry AS (
    INSERT INTO world.shipment_entries (key, order_id, kind)
    SELECT key, order_id, CASE WHEN dispatched THEN 'recall' ELSE 'void' END FROM request WHERE first
)
SELECT * FROM request;

-- name: order_ledger
-- What the outside world knows of an order: money and packages.
SELECT ts, 'payment provider' AS who, kind, key, amount FROM world.payment_entries WHERE order_id = :order_id
UNION ALL
SELECT ts, 'carrier', kind, key, NULL FROM world.shipment_entries WHERE order_id = :order_id
ORDER BY ts;
