"""The short code of a check-in: orderkit's version and what failed, in letters that survive a phone call.

`OK-7F3K`: nothing failed. `NO-7F3K-9ACD`: something did. The last letter is a checksum over the word and the other
letters: one letter typed wrongly, or two that changed places, is noticed; of made-up codes, 1 in 23 passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orderkit.errors import LabError

# Nothing that is taken for another: no 0 O, 1 I L, 2 Z, 5 S, 6, 8 B, U. A prime number of letters: so a checksum of one
# letter finds each single mistake and each swap.
ALPHABET = "3479ACDEFGHJKMNPQRTVWXY"
_VERSION_LETTERS, _FAILED_LETTERS = 3, 4
_PART = 50  # of a version: minor and patch are below it
_MOST_MAJOR = 3
MOST_CHECKS = 18  # what four letters hold
_SEEDS = {"OK": 0, "NO": 1}


@dataclass(frozen=True)
class CheckInCode:
    """What a code says: orderkit's version, and the numbers of the checks that failed."""

    version: tuple[int, int, int]
    failed: frozenset[int] = frozenset()

    def __str__(self) -> str:
        word = "NO" if self.failed else "OK"
        major, minor, patch = self.version
        digits = _digits((major * _PART + minor) * _PART + patch, _VERSION_LETTERS)
        if self.failed:
            digits += _digits(sum(1 << number for number in self.failed), _FAILED_LETTERS)
        digits.append(_checksum(word, digits))
        letters = "".join(ALPHABET[digit] for digit in digits)
        return "-".join([word, *(letters[start : start + 4] for start in range(0, len(letters), 4))])


def make_code(version: str, failed: Iterable[int]) -> CheckInCode:
    """Of a version such as `0.1.0`; what follows the three numbers is left out."""
    major, minor, patch = (*map(int, re.findall(r"\d+", version)), 0, 0, 0)[:3]
    return CheckInCode((min(major, _MOST_MAJOR), min(minor, _PART - 1), min(patch, _PART - 1)), frozenset(failed))


def read_code(text: str) -> CheckInCode:
    """What somebody sent, in capitals or not, with or without hyphens. Raises LabError for what is not a code."""
    typed = re.sub(r"[\s-]", "", text).upper()
    word, letters = typed[:2], typed[2:]
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    lengths = {"OK": _VERSION_LETTERS + 1, "NO": _VERSION_LETTERS + _FAILED_LETTERS + 1}
    if word not in lengths:
        raise LabError(f"{shown!r} is not a check-in code: it begins with OK or NO")
    if len(letters) != lengths[word]:
        raise LabError(f"{shown!r} is not a check-in code: {lengths[word]} letters follow {word}, not {len(letters)}")
    if foreign := sorted(set(letters) - set(ALPHABET)):
        raise LabError(f"{shown!r} is not a check-in code: it never has {', '.join(foreign)}; ask for it again")
    digits = [ALPHABET.index(letter) for letter in letters]
    if digits[-1] != _checksum(word, digits[:-1]):
        raise LabError(f"{shown!r} was mistyped: its letters do not fit together; ask for it again")
    rest, patch = divmod(_number(digits[:_VERSION_LETTERS]), _PART)
    major, minor = divmod(rest, _PART)
    bits = _number(digits[_VERSION_LETTERS:-1])
    failed = frozenset(number for number in range(bits.bit_length()) if bits >> number & 1)
    if bool(failed) != (word == "NO") or bits >= 1 << MOST_CHECKS:
        raise LabError(f"{shown!r} was mistyped: no check-in gives it; ask for it again")
    return CheckInCode((major, minor, patch), failed)


def _digits(number: int, count: int) -> list[int]:
    digits = []
    for _ in range(count):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(digit)
    return digits[::-1]


def _number(digits: Sequence[int]) -> int:
    number = 0
    for digit in digits:
        number = number * len(ALPHABET) + digit
    return number


def _checksum(word: str, digits: Sequence[int]) -> int:
    return (_SEEDS[word] + sum(place * digit for place, digit in enumerate(digits, start=2))) % len(ALPHABET)
