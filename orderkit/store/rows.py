"""Rows, and the way between domain objects and columns: money is cents in code and numeric(12,2) in SQL."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

import asyncpg

from orderkit.core.orders import Address

Row: TypeAlias = asyncpg.Record  # a row of a query; its columns are those that the query names


def to_amount(cents: int) -> Decimal:
    """Whole cents as numeric(12,2)."""
    return Decimal(cents) / 100


def to_cents(amount: Decimal) -> int:
    """numeric(12,2) as whole cents."""
    return int(amount * 100)


def to_address(json: dict[str, str]) -> Address:
    """The address of a jsonb column."""
    return Address(**json)
