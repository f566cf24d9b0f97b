"""Parameters that several calls take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Path
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from orderkit.contract import EVENT_ID, KEY, ORDER_ID
from orderkit.core.orders import OrderId

OrderIdPath = Annotated[
    OrderId, Path(pattern=ORDER_ID, max_length=64, description="letters, digits, or . _ ~ -", examples=["A-1001"])
]
# SkipJsonSchema: a header is there or not, and never null.
IdempotencyKey = Annotated[
    Annotated[str, Field(pattern=KEY)] | SkipJsonSchema[None],
    Header(description="name your attempt, and repeat it under the same name: it acts once and gets the same answer"),
]
LastEventId = Annotated[
    Annotated[str, Field(pattern=EVENT_ID)] | SkipJsonSchema[None],
    Header(description="resume after that event"),
]
