"""The code of a check-in says what it was made of, and a mistake in it is noticed."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orderkit import __version__
from orderkit.doctor.check_in import NAMES, QUESTIONS, code_of, told_by
from orderkit.doctor.machine import Check
from orderkit.doctor.short_code import ALPHABET, MOST_CHECKS, CheckInCode, make_code, read_code
from orderkit.errors import LabError

VERSIONS = st.tuples(st.integers(0, 3), st.integers(0, 49), st.integers(0, 49))
CODES = st.builds(CheckInCode, VERSIONS, st.frozensets(st.integers(0, MOST_CHECKS - 1)))


@settings(max_examples=50)
@given(CODES, st.booleans(), st.sampled_from(["-", "", " ", " - "]))
def test_a_code_is_read_as_it_was_made_however_it_is_typed(code: CheckInCode, lower: bool, between: str) -> None:
    typed = str(code).replace("-", between)
    assert read_code(typed.lower() if lower else typed) == code


@settings(max_examples=50)
@given(CODES, st.data())
def test_one_wrong_letter_and_two_that_changed_places_are_noticed(code: CheckInCode, data: st.DataObject) -> None:
    word, letters = str(code)[:2], list(str(code)[2:].replace("-", ""))
    place = data.draw(st.integers(0, len(letters) - 1))
    others = [letter for letter in ALPHABET if letter != letters[place]]
    wrong = [*letters[:place], data.draw(st.sampled_from(others)), *letters[place + 1 :]]
    with pytest.raises(LabError, match="mistyped"):
        read_code(word + "".join(wrong))
    other = data.draw(st.sampled_from([at for at in range(len(letters)) if at != place]))
    assume(letters[place] != letters[other])
    letters[place], letters[other] = letters[other], letters[place]
    with pytest.raises(LabError, match="mistyped"):
        read_code(word + "".join(letters))


@settings(max_examples=50)
@given(st.text(max_size=20))
def test_what_is_not_a_code_is_refused_or_is_a_code(text: str) -> None:
    try:
        code = read_code(text)
    except LabError as error:
        assert text[:30] in str(error) or "is not a check-in code" in str(error) or "mistyped" in str(error)
    else:
        assert read_code(str(code)) == code


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "begins with OK or NO"),
        ("OK-7F", "4 letters follow OK, not 2"),
        ("NO-7F3K", "8 letters follow NO, not 4"),
        ("OK-0F3I", "it never has 0, I"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(LabError, match=why):
        read_code(text)


def test_no_letter_looks_like_another() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 23  # a prime: the checksum needs it
    for alike in ("0OD", "1IL", "2Z", "5S", "6G", "8B", "UV"):
        assert len(set(ALPHABET) & set(alike)) <= 1, alike


def test_all_machines_that_are_well_send_the_same_short_code() -> None:
    fine = [Check(name, True, "") for name in NAMES]
    assert {str(code_of(checks, __version__)) for checks in (fine, fine[::-1])} == {str(make_code(__version__, ()))}
    assert len(str(make_code(__version__, ()))) == len("OK-7F3K")
    assert make_code("0.1.0.dev3+local", ()) == make_code("0.1.0", ())


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_check_is_told_in_sentences(name: str) -> None:
    checks = [Check(each, each != name, "") for each in NAMES]
    [told] = told_by(read_code(str(code_of(checks, __version__))))
    assert told.name == name
    assert len(told.wrong) > 10
    assert len(told.remedy) > 10


def test_what_only_a_newer_orderkit_checks_is_said() -> None:
    assert len(QUESTIONS) < MOST_CHECKS
    [told] = told_by(CheckInCode((0, 2, 0), frozenset({MOST_CHECKS - 1})))
    assert "newer" in told.wrong


def test_codes_of_the_first_version_keep_their_meaning() -> None:
    first = "python system packages programs disk memory processors folder ports lessons order jupyter browser"
    assert " ".join(NAMES).startswith(first)
    assert (str(make_code("0.1.0", ())), str(make_code("0.1.0", {0, 12}))) == ("OK-37AY", "NO-37A3-ER94")
