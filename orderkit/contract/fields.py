"""The types of single fields: what JSON Schema can say. `orderkit.core` owns the limits, and checks the rest."""

from __future__ import annotations

import re
from decimal import Decimal
from numbers import Integral, Real
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from orderkit.core.faults import MAX_SLOW_DIGITS, FaultKind
from orderkit.core.messages import MAX_TEXT_CHARACTERS
from orderkit.core.orders import MAX_UNIT_PRICE_CENTS, MIN_UNIT_PRICE_CENTS, ORDER_ID_PATTERN, ZIP_PATTERN

# PostgreSQL holds no NUL, and no label or log wants the other control characters.
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
NOT_BLANK = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[!-~\u00a1-\uffff][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
# Wider than letters alone, for want of \p{L} where JSON Schema's patterns are read; `orderkit.core` is exact.
WITH_LETTER = (
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[A-Za-z\u00c0-\u1fff\u2c00-\ud7ff][^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
)
FAULT = (
    rf"^({'|'.join(kind for kind in FaultKind if kind is not FaultKind.SLOW)}|slow\([0-9]{{1,{MAX_SLOW_DIGITS}}}\))$"
)
ZIP = rf"^{ZIP_PATTERN}$"
PRICE = r"^([1-9][0-9]{0,4}(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?))$"
PAYMENT_ID = rf"^({ORDER_ID_PATTERN})?$"
ORDER_ID = rf"^{ORDER_ID_PATTERN}$"
KEY = r"^[A-Za-z0-9._~-]{1,64}$"
EVENT_ID = r"^[0-9]{1,18}$"
CURSOR = rf"^[0-9]{{1,16}}~{ORDER_ID_PATTERN}$"

_CHEAPEST, _DEAREST = Decimal(MIN_UNIT_PRICE_CENTS) / 100, Decimal(MAX_UNIT_PRICE_CENTS) / 100

# What to tell a person instead of the pattern.
PATTERN_HINTS = {
    ONE_LINE: "must be printable text on one line",
    NOT_BLANK: "must be printable text on one line, and not blank",
    WITH_LETTER: "must be printable text on one line, with a letter",
    FAULT: f"is no fault; use one of: {', '.join(FaultKind)} (slow as slow(250), milliseconds)",
    PRICE: f"must be a price of {_CHEAPEST} to {_DEAREST}, with at most 2 decimals",
    ZIP: "use 2 to 12 letters, digits, spaces or dashes",
    PAYMENT_ID: "use 1 to 64 letters, digits, or . _ ~ - (starting with a letter or digit)",
    CURSOR: "take it from `next_cursor` of the page before, unchanged",
    KEY: "use 1 to 64 letters, digits, or . _ ~ -",
    EVENT_ID: "send the id of the last event that you have: a whole number",
    ORDER_ID: "use 1 to 64 letters, digits, or . _ ~ - (starting with a letter or digit)",
}

Line = Annotated[str, Field(min_length=1, pattern=NOT_BLANK)]
Person = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, pattern=NOT_BLANK)]
Text = Annotated[str, Field(max_length=MAX_TEXT_CHARACTERS, pattern=ONE_LINE)]
FaultText = Annotated[str, Field(pattern=FAULT, examples=["error", "hang", "slow(250)", "ok"])]


def _number(value: object) -> object:
    """Numbers of other libraries, such as numpy's, as Python's own; a boolean is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


Seconds = Annotated[float, BeforeValidator(_number), Field(strict=True, allow_inf_nan=False)]


def _whole(value: object) -> object:
    """To JSON Schema, 2.0 is an integer; a string or a boolean is none."""
    value = _number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True)]


def _money(value: object) -> object:
    """JSON's numbers are binary: 0.1 + 0.2 means 0.3. What is really finer than a cent is left alone, and refused."""
    value = _number(value)
    if isinstance(value, str) and not re.fullmatch(PRICE, value):
        raise ValueError(PATTERN_HINTS[PRICE])
    if isinstance(value, float) and abs(value) <= MAX_UNIT_PRICE_CENTS and abs(value - round(value, 2)) < 1e-9:
        return round(value, 2)
    return value


Money = Annotated[
    Decimal,
    BeforeValidator(_money),
    Field(ge=_CHEAPEST, le=_DEAREST, decimal_places=2),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": PRICE},
                {"type": "number", "minimum": float(_CHEAPEST), "maximum": float(_DEAREST), "multipleOf": 0.01},
            ],
            "description": "as a string or a number, at most 2 decimals",
            "examples": ["24.90"],
        }
    ),
]
