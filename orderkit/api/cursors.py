"""Cursors of paged lists: the last order's creation, in microseconds since 1970, and its id."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_cursor(created_at: datetime, order_id: str) -> str:
    """The position after that order."""
    return f"{(created_at - _EPOCH) // timedelta(microseconds=1)}~{order_id}"


def from_cursor(cursor: str) -> tuple[datetime, str]:
    """The position that `to_cursor` wrote; its form has been checked."""
    microseconds, _, order_id = cursor.partition("~")
    return _EPOCH + timedelta(microseconds=int(microseconds)), order_id
