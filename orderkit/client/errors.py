"""What the API's problem documents mean, as orderkit's own errors."""

from __future__ import annotations

import httpx
from pydantic import ValidationError

from orderkit.contract import ProblemDocument
from orderkit.errors import (
    DependencyUnavailable,
    InvalidOrder,
    MessageRefused,
    OrderClosed,
    OrderConflict,
    OrderkitError,
    OrderNotFound,
    Problem,
    SettingsError,
)

_ERRORS: dict[str, type[OrderkitError]] = {
    "urn:orderkit:order-not-found": OrderNotFound,
    "urn:orderkit:order-conflict": OrderConflict,
    "urn:orderkit:order-closed": OrderClosed,
    "urn:orderkit:message-refused": MessageRefused,
    "urn:orderkit:api-key": SettingsError,
}


def to_error(response: httpx.Response) -> OrderkitError:
    """The error that a problem document tells."""
    try:
        told = ProblemDocument.model_validate_json(response.content)
    except ValidationError:
        return OrderkitError(f"{response.url.host} answered {response.status_code}, and not as orderkit does")
    if told.dependency:
        return DependencyUnavailable(told.dependency, told.detail)
    if told.type == "urn:orderkit:invalid-request":
        return InvalidOrder(
            [Problem(each.field, each.message) for each in told.errors or ()] or [Problem("", told.detail)]
        )
    return _ERRORS.get(told.type, OrderkitError)(told.detail)
