"""Parameters that several calls take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path

from orderkit.api.models import ORDER_ID
from orderkit.core.orders import OrderId

OrderIdPath = Annotated[
    OrderId, Path(pattern=ORDER_ID, max_length=64, description="letters, digits, or . _ ~ -", examples=["A-1001"])
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[A-Za-z0-9._~-]{1,64}$",
        description="name your attempt, and repeat it under the same name: it acts once and gets the same answer",
    ),
]
