"""Migrations only grow: what a lab has applied once never changes, and what is new comes after it."""

from __future__ import annotations

from hashlib import sha256

from orderkit.store.compatibility import known_migrations
from orderkit.store.queries import sql_folder

# What users may have applied. A release adds its new migrations here; no line is ever changed.
RELEASED = {
    "20261123_01_orders": "78cb0e6a40f8eac7393c4a9035c4e847e30453e01d4becc6c5456016938c260e",
    "20261126_01_refusals": "34864e3b04ef68c39eff9a40814c1fbd9313cc8222cecee30a743f510d178ae1",
}


def test_a_released_migration_never_changes() -> None:
    folder = sql_folder() / "migrations"
    assert {name: sha256((folder / f"{name}.sql").read_bytes()).hexdigest() for name in RELEASED} == RELEASED


def test_new_migrations_come_after_the_released_ones() -> None:
    assert known_migrations()[: len(RELEASED)] == list(RELEASED)
    for before, name in zip(known_migrations(), known_migrations()[1:], strict=False):
        first_lines = (sql_folder() / "migrations" / f"{name}.sql").read_text().splitlines()[:3]
        assert f"-- depends: {before}" in first_lines, (
            f"{name} says that it depends on {before}, so that pogo keeps the order"
        )
