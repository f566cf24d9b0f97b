"""Words that people choose from a list."""

from __future__ import annotations

import pytest

from orderkit.core.choices import check_choice, check_via
from orderkit.core.orders import OrderState
from orderkit.errors import InvalidOrder


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("shiped", "until: 'shiped' is not known (did you mean shipped?); use one of: received, "),
        ("happy", "until: 'happy' is not known; use one of: received, "),
        (7, "until: 7 is not known; use one of: received, "),
        (["shipped"], "until: ['shipped'] is not known; use one of: received, "),
    ],
)
def test_word_that_is_not_known_is_named_with_those_that_are(given: object, told: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        check_choice("until", given, OrderState)
    assert str(refused.value).startswith(told)
    assert str(refused.value).endswith("failed")


def test_known_words_pass() -> None:
    check_choice("until", OrderState.SHIPPED, OrderState)
    for via in ("signal", "update"):
        check_via(via)
