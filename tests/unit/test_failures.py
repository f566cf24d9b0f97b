"""What a failure takes into Temporal's history: a foreseen one no traceback, a bug its own."""

from __future__ import annotations

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultPayloadConverter
from temporalio.exceptions import ApplicationError

from orderkit.temporal.client import data_converter

CONVERTERS = [data_converter(()).failure_converter, data_converter((b"k" * 32,)).failure_converter]


def failure_of(error: BaseException, converter: object) -> Failure:
    failure = Failure()
    try:
        raise error
    except BaseException as raised:
        converter.to_failure(raised, DefaultPayloadConverter(), failure)  # type: ignore[attr-defined]
    return failure


@pytest.mark.parametrize("name", ["InjectedError", "Declined", "AttemptTimeout", "OrderFailed"])
def test_a_foreseen_failure_has_no_traceback(name: str) -> None:
    failure = failure_of(ApplicationError("no luck", type=name), CONVERTERS[0])
    assert (failure.message, failure.stack_trace) == ("no luck", "")
    assert failure.application_failure_info.type == name


def test_a_bug_keeps_its_traceback() -> None:
    for error in (KeyError("lost"), ApplicationError("who raised this?", type="KeyError")):
        assert "test_failures.py" in failure_of(error, CONVERTERS[0]).stack_trace


def test_with_a_codec_key_the_message_is_in_what_is_encrypted() -> None:
    failure = failure_of(ApplicationError("no luck", type="InjectedError"), CONVERTERS[1])
    assert failure.message == "Encoded failure"
    assert b"no luck" in failure.encoded_attributes.data and b"test_failures.py" not in failure.encoded_attributes.data
