"""Inputs that people type in Temporal's UI or CLI: converts them to the wanted type, or says why not.

Left to the SDK, they stall a workflow: a signal without input, or with two, fails the workflow task for ever, and the
deadline and the compensation stand still with it; one of a wrong shape is dropped without a word; and a start without a
readable input retries its first task for ever.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_args, get_type_hints

from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DefaultPayloadConverter, PayloadConverter, value_to_type
from temporalio.exceptions import ApplicationError

from orderkit.core.calls import ReconcileInput, ShippingInput
from orderkit.core.orders import OrderInput

M = TypeVar("M")
INVALID_INPUT = "InvalidInput"  # the type of the failure of a workflow that cannot be run with its input
_STARTS = (OrderInput, ShippingInput, ReconcileInput)
_KINDS: dict[type, str] = {list: "a list", str: "text", bool: "true or false", type(None): "null"}


class Unreadable(Exception):
    """An input that cannot be used; says why, without its content."""


def read_one(inputs: Sequence[RawValue], wanted: type[M], converter: PayloadConverter) -> M:
    """The one input, as this dataclass and no more than it; raises Unreadable."""
    if len(inputs) != 1:
        count = f"{len(inputs)} inputs" if inputs else "no input"
        raise Unreadable(f"it came with {count}; it takes {_shape(wanted)}")
    return read(inputs[0], wanted, converter)


def read(value: RawValue | None, wanted: type[M], converter: PayloadConverter) -> M:
    """An input, or an activity's result, as this dataclass and no more than it; raises Unreadable."""
    if value is None:
        raise Unreadable(f"there is none; it takes {_shape(wanted)}")
    plain = _plain(value.payload, wanted, converter)
    if set(plain) - {field.name for field in fields(wanted)}:  # type: ignore[arg-type]
        raise Unreadable(f"it has more than it takes: {_shape(wanted)}")
    return _typed(plain, wanted)


class InputConverter(DefaultPayloadConverter):
    """The SDK's own converter; an unreadable input of one of orderkit's workflows fails the workflow at once.

    By the SDK's rule only errors that fail a workflow do that; so this raises one. Takes unknown fields, which come
    from newer versions.
    """

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Called by the SDK."""
        if type_hints is None and len(payloads) > 1:
            raise invalid_input(f"{len(payloads)} inputs were given; it takes one")
        wanted = _start_input(type_hints)
        if wanted is None:
            return super().from_payloads(payloads, type_hints)
        try:
            return [_typed(_plain(payloads[0], wanted, self), wanted)]
        except Unreadable as why:
            raise invalid_input(f"its input cannot be used: {why}") from None


def invalid_input(why: str) -> ApplicationError:
    """Fails a workflow at once: nothing was recorded, and there is nothing to undo."""
    return ApplicationError(why, type=INVALID_INPUT, non_retryable=True)


def _start_input(type_hints: list[type] | None) -> type | None:
    """Which workflow's input this is; annotated as `OrderInput | None`, since there may be none."""
    if type_hints is None or len(type_hints) != 1:
        return None
    return next((each for each in _STARTS if each is type_hints[0] or each in get_args(type_hints[0])), None)


def _plain(payload: Payload, wanted: type, converter: PayloadConverter) -> Mapping[str, Any]:
    try:
        plain: Any = converter.from_payload(payload)
    except Exception as error:
        raise Unreadable(f"it cannot be decoded; send JSON: {_shape(wanted)}") from error
    if not isinstance(plain, dict):
        raise Unreadable(f"it is {_KINDS.get(type(plain), 'a number')}; it takes {_shape(wanted)}")
    return plain


def _typed(plain: Mapping[str, Any], wanted: type[M]) -> M:
    missing = [
        field.name
        for field in fields(wanted)  # type: ignore[arg-type]
        if field.default is MISSING and field.default_factory is MISSING and field.name not in plain
    ]
    if missing:
        raise Unreadable(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; it takes {_shape(wanted)}"
        )
    for name, hint in _type_hints(wanted).items():  # type: ignore[arg-type]
        if name in plain:
            try:
                value_to_type(hint, plain[name])
            except Exception as error:
                raise Unreadable(f"{name} is of the wrong type; it takes {_shape(wanted)}") from error
    try:
        typed: M = value_to_type(wanted, plain)
    except Exception as error:
        raise Unreadable(f"it takes {_shape(wanted)}") from error
    return typed


@functools.cache
def _type_hints(wanted: Any) -> dict[str, Any]:
    return get_type_hints(wanted)


def _shape(wanted: type) -> str:
    """`{"reason": …, "cancelled_by": …}`."""
    return "{" + ", ".join(f'"{field.name}": …' for field in fields(wanted)) + "}"
