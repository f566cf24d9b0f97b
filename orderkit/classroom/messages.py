"""All that a learner's notebook can send: a name when it joins, then lesson, round, prediction and verdict."""

from __future__ import annotations

import unicodedata
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from orderkit.course.plan import rounds
from orderkit.course.progress import Progress, Verdict

MOST_NAME_LETTERS = 24
_NAME_SIGNS = " -'’."


def tidy_name(name: str) -> str:
    """One line of letters, digits and a few signs, of bounded length. Raises ValueError."""
    tidy = " ".join(unicodedata.normalize("NFC", name).split())
    if not 1 <= len(tidy) <= MOST_NAME_LETTERS:
        raise ValueError(f"a name has 1 to {MOST_NAME_LETTERS} letters")
    if not all(sign in _NAME_SIGNS or unicodedata.category(sign)[0] in "LMN" for sign in tidy):
        raise ValueError("a name has letters, digits, spaces, - ' and . only")
    return tidy


class Join(BaseModel):
    """Who comes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        return tidy_name(name)


class News(BaseModel):
    """One progress of a learner."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lesson: str = ""
    round: str = ""
    prediction: Literal["", "a", "b", "c"] = ""
    verdict: Verdict | None = None

    @model_validator(mode="after")
    def _is_of_the_course(self) -> Self:
        if (self.lesson or self.round) and self.round not in rounds(self.lesson):
            raise ValueError("no lesson has such a round")
        return self

    @classmethod
    def of(cls, progress: Progress) -> Self:
        """What is sent of it. Raises ValueError for a round that the course does not have."""
        return cls.model_validate(
            {
                "lesson": progress.lesson,
                "round": progress.round,
                "prediction": progress.prediction,
                "verdict": progress.verdict,
            }
        )


class Seat(BaseModel):
    """The board's answer: the name as it is shown, and the secret with which this lab goes on."""

    name: str
    seat: str
