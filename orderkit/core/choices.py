"""Words that people choose from a list, and type."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal, get_args

from orderkit.errors import InvalidOrder, Problem

# A signal is only sent. An update is answered: accepted, or refused and why.
Via = Literal["signal", "update"]


def check_choice(field: str, given: object, allowed: Iterable[str]) -> None:
    """Raise InvalidOrder, which names the words that are allowed, unless `given` is one of them."""
    words = [str(word) for word in allowed]
    if given in words:
        return
    close = get_close_matches(given, words, 1) if isinstance(given, str) else []
    meant = f" (did you mean {close[0]}?)" if close else ""
    raise InvalidOrder([Problem(field, f"{given!r} is not known{meant}; use one of: {', '.join(words)}")])


def check_via(given: object) -> None:
    """Raise InvalidOrder unless it is a way to send a message."""
    check_choice("via", given, get_args(Via))
