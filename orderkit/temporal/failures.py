"""Failures on their way into Temporal's history: those that we raise on purpose carry no traceback.

Where such an error was raised says nothing; its type and its sentence do. A traceback would be walked, sent and kept
for each of them. A failure that nobody foresaw keeps its own.
"""

from __future__ import annotations

import functools

from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError

from orderkit.errors import OrderkitError

_OUR_OWN = ("AttemptTimeout", "DispatchFailed", "OrderFailed")


class ShortFailures(DefaultFailureConverter):
    """The SDK's own converter, without the tracebacks of foreseen errors."""

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        """Called by the SDK."""
        if isinstance(exception, ApplicationError) and exception.type in _foreseen():
            exception = exception.with_traceback(None)
        super().to_failure(exception, payload_converter, failure)


class ShortEncodedFailures(ShortFailures, DefaultFailureConverterWithEncodedAttributes):
    """The same, with messages that the payload codec encrypts."""


@functools.cache
def _foreseen() -> set[str]:
    return {*_OUR_OWN, *_names(OrderkitError)}


def _names(error: type[OrderkitError]) -> set[str]:
    return {error.__name__}.union(*map(_names, error.__subclasses__()))
