-- The outside world: the payment provider's and the carrier's own idempotent API. Nothing else writes to schema world.
-- A request under a new key is one statement. Under a known key it changes nothing and returns no key, and the statement
-- `…_again` answers: a statement of its own, since only a new one sees what another request has just committed.
-- The first statement also tells the service's switch, so that asking for it costs no round trip: where it is down nothing
-- happens, where it is declining nothing new begins.

-- name: set_switch<!
-- Lets a service be up, slow, down or declining from now on; all processes see it with their next request.
INSERT INTO world.switches (service, state) VALUES (:service, :state) RETURNING id;

-- name: switches
-- The state of each service whose switch was ever used.
SELECT DISTINCT ON (service) service, state FROM world.switches ORDER BY service, id DESC;

-- name: provider_charge^
-- Charges a new key; returns no key for a known one.
WITH switch AS (
    SELECT coalesce((SELECT state FROM world.switches WHERE service = 'payments' ORDER BY id DESC LIMIT 1), 'up') AS switch
), request AS (
    INSERT INTO world.payment_keys (key, order_id, amount, charged_at)
    SELECT :key, :order_id, :amount::numeric(12, 2), clock_timestamp() FROM switch WHERE switch IN ('up', 'slow')
    ON CONFLICT (key) DO NOTHING
    RETURNING key, order_id, amount, voided_at
), entry AS (
    INSERT INTO world.payment_entries (key, order_id, kind, amount)
    SELECT key, order_id, 'charge', amount FROM request
)
SELECT switch.switch, request.* FROM switch LEFT JOIN request ON true;

-- name: provider_charge_again^
-- Returns a known key's row, and notes the request as refused where the key is voided or serves something else.
WITH known AS (
    SELECT key, order_id, amount, voided_at FROM world.payment_keys WHERE key = :key FOR UPDATE
), entry AS (
    INSERT INTO world.payment_entries (key, order_id, kind, amount)
    SELECT key, :order_id::text, 'refused', :amount::numeric(12, 2) FROM known
    WHERE voided_at IS NOT NULL OR order_id <> :order_id OR amount <> :amount
)
SELECT * FROM known;

-- name: provider_void^
-- Voids a key: refunds what went through under it, refuses what comes later. Returns no key for one that is voided
-- already, or another order's.
WITH switch AS (
    SELECT coalesce((SELECT state FROM world.switches WHERE service = 'payments' ORDER BY id DESC LIMIT 1), 'up') AS switch
), request AS (
    INSERT INTO world.payment_keys AS k (key, order_id, amount, voided_at)
    SELECT :key, :order_id, 0, clock_timestamp() FROM switch WHERE switch <> 'down'
    ON CONFLICT (key) DO UPDATE SET voided_at = clock_timestamp()
    WHERE k.order_id = excluded.order_id AND k.voided_at IS NULL
    RETURNING k.key, k.order_id, k.amount, k.charged_at IS NOT NULL AS charged
), entry AS (
    INSERT INTO world.payment_entries (key, order_id, kind, amount)
    SELECT key, order_id, CASE WHEN charged THEN 'refund' ELSE 'void' END, CASE WHEN charged THEN -amount ELSE 0 END
    FROM request
)
SELECT switch.switch, request.* FROM switch LEFT JOIN request ON true;

-- name: provider_void_again^
-- What had gone through under an order's voided key. Returns nothing for another order's key.
SELECT key, order_id, amount, charged_at IS NOT NULL AS charged FROM world.payment_keys
WHERE key = :key AND order_id = :order_id;

-- name: carrier_dispatch^
-- Takes the package under a new key; returns no key for a known one.
WITH switch AS (
    SELECT coalesce((SELECT state FROM world.switches WHERE service = 'carrier' ORDER BY id DESC LIMIT 1), 'up') AS switch
), request AS (
    INSERT INTO world.shipments (key, order_id, tracking, label_json, dispatched_at)
    SELECT :key, :order_id, :tracking, :label::jsonb, clock_timestamp() FROM switch WHERE switch IN ('up', 'slow')
    ON CONFLICT (key) DO NOTHING
    RETURNING key, order_id, recalled_at
), entry AS (
    INSERT INTO world.shipment_entries (key, order_id, kind) SELECT key, order_id, 'dispatch' FROM request
)
SELECT switch.switch, request.* FROM switch LEFT JOIN request ON true;

-- name: carrier_dispatch_again^
-- Returns a known key's row: another address prints a new label, a recalled key is refused.
WITH known AS (
    SELECT key, label_json, recalled_at FROM world.shipments WHERE key = :key FOR UPDATE
), relabelled AS (
    UPDATE world.shipments AS s SET label_json = :label::jsonb FROM known
    WHERE s.key = known.key AND known.recalled_at IS NULL AND known.label_json <> :label::jsonb
), entry AS (
    INSERT INTO world.shipment_entries (key, order_id, kind)
    SELECT key, :order_id::text, CASE WHEN recalled_at IS NULL THEN 'relabel' ELSE 'refused' END
    FROM known WHERE recalled_at IS NOT NULL OR label_json <> :label::jsonb
)
SELECT * FROM known;

-- name: carrier_recall^
-- Recalls by key: gives the package back if there is one, refuses it later. Returns no key for a recalled one.
WITH switch AS (
    SELECT coalesce((SELECT state FROM world.switches WHERE service = 'carrier' ORDER BY id DESC LIMIT 1), 'up') AS switch
), request AS (
    INSERT INTO world.shipments AS s (key, order_id, recalled_at)
    SELECT :key, :order_id, clock_timestamp() FROM switch WHERE switch <> 'down'
    ON CONFLICT (key) DO UPDATE SET recalled_at = clock_timestamp()
    WHERE s.recalled_at IS NULL
    RETURNING s.key, s.order_id, s.dispatched_at IS NOT NULL AS dispatched
), entry AS (
    INSERT INTO world.shipment_entries (key, order_id, kind)
    SELECT key, order_id, CASE WHEN dispatched THEN 'recall' ELSE 'void' END FROM request
)
SELECT switch.switch, request.* FROM switch LEFT JOIN request ON true;

-- name: carrier_recall_again^
-- Whether there was a package under a recalled key.
SELECT key, dispatched_at IS NOT NULL AS dispatched FROM world.shipments WHERE key = :key;

-- name: ledger_of_orders
-- What the outside world knows of many orders, order by order as they are named.
SELECT entry.*
FROM unnest(:order_ids::text[]) WITH ORDINALITY AS named (order_id, place),
    LATERAL (
        SELECT ts, 'payment provider' AS who, kind, key, amount, w.order_id FROM world.payment_entries AS w
        WHERE w.order_id = named.order_id
        UNION ALL
        SELECT ts, 'carrier', kind, key, NULL, w.order_id FROM world.shipment_entries AS w WHERE w.order_id = named.order_id
    ) AS entry
ORDER BY named.place, entry.ts;

-- name: order_ledger
-- What the outside world knows of an order: money and packages.
SELECT ts, 'payment provider' AS who, kind, key, amount FROM world.payment_entries WHERE order_id = :order_id
UNION ALL
SELECT ts, 'carrier', kind, key, NULL FROM world.shipment_entries WHERE order_id = :order_id
ORDER BY ts;
