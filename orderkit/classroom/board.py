"""The state of a class: who is where, who is stuck, votes and times. It knows no HTTP and no clock."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from orderkit.classroom.messages import News
from orderkit.course.plan import round_minutes, rounds
from orderkit.course.progress import Verdict
from orderkit.course.questions import ANSWERS, CHOICES
from orderkit.errors import LabError

MOST_LEARNERS = 500
STUCK_AFTER_MISSES = 3
LINE_SECONDS = 300.0  # after that, who joins does not hear the line any more
_WHY = {Verdict.WAITING: "a cell waits", Verdict.EXPIRED: "a wait gave up"}


@dataclass
class Learner:
    """Times are seconds since the epoch; a place is `03 2`, lesson and round."""

    name: str
    seat: str
    place: str = ""
    since: float = 0.0  # at that place
    solved: bool = False
    misses: int = 0  # of the check, one after the other
    trouble: Verdict | None = None
    troubled: float = 0.0  # since when
    choices: dict[str, str] = field(default_factory=dict)
    minutes: dict[str, float] = field(default_factory=dict)
    told: int = 0  # the number of the last line heard

    @property
    def stuck(self) -> str:
        """Why; empty if this learner is not."""
        if self.trouble in _WHY:
            return _WHY[self.trouble]
        return f"the check failed {self.misses} times" if self.misses >= STUCK_AFTER_MISSES else ""


@dataclass(frozen=True)
class Line:
    """What the instructor says to every notebook."""

    number: int
    text: str
    said: float


class Board:
    """Every change bumps `version`."""

    def __init__(self) -> None:
        self.version = 0
        self.learners: dict[str, Learner] = {}  # by seat
        self.gone: set[str] = set()  # seats of learners who left or were removed: their other notebooks stay out
        self.shown: set[str] = set()  # places whose votes the instructor shows
        self.line = Line(0, "", 0.0)

    # -- what learners do

    def join(self, name: str, seat: str, now: float) -> Learner:
        """A new learner, or the one who has this seat. Raises LabError: name taken, class full, or learner gone."""
        if seat in self.gone:
            raise LabError("you have left this class in another notebook, or the instructor has removed you")
        known = self.learners.get(seat)
        if known is None or known.name.casefold() != name.casefold():
            if any(each.name.casefold() == name.casefold() for each in self.learners.values()):
                raise LabError(f"somebody here is called {name} already; add a letter or your surname")
            if known is None and len(self.learners) >= MOST_LEARNERS:
                raise LabError(f"the class is full: {MOST_LEARNERS} learners")
        if known is None:
            known = Learner(name, secrets.token_urlsafe(16), since=now)
            self.learners[known.seat] = known
        known.name = name
        self.version += 1
        return known

    def leave(self, learner: Learner) -> None:
        """Nothing of this learner stays."""
        self.learners.pop(learner.seat, None)
        self.gone.add(learner.seat)
        self.version += 1

    def hear(self, learner: Learner, news: News, now: float) -> None:
        """One message of a learner's notebook."""
        self.version += 1
        place = f"{news.lesson} {news.round}".strip()
        if news.prediction and place:
            learner.choices[place] = news.prediction
        if place and place != learner.place and not (news.prediction and learner.place):
            self._finish(learner, now)
            learner.place, learner.since = place, now
            learner.solved, learner.misses, learner.trouble = False, 0, None
        match news.verdict:
            case None:
                pass
            case Verdict.MISSED:
                learner.misses += 1
            case Verdict.SOLVED:
                learner.misses, learner.solved = 0, True
                if news.lesson and news.round == rounds(news.lesson)[-1]:
                    self._finish(learner, now)
            case Verdict.WAITING | Verdict.EXPIRED:
                learner.trouble, learner.troubled = news.verdict, now
            case Verdict.GOING:
                learner.trouble = None

    def _finish(self, learner: Learner, now: float) -> None:
        """A place's first time counts."""
        if learner.place:
            learner.minutes.setdefault(learner.place, (now - learner.since) / 60)

    def line_for(self, learner: Learner, now: float) -> Line | None:
        """The instructor's line, if this learner has not heard it; it counts as heard now."""
        news = learner.told < self.line.number and now - self.line.said <= LINE_SECONDS
        learner.told = self.line.number
        return self.line if news else None

    # -- what the instructor does

    def show(self, lesson: str, round: str, shown: bool) -> None:
        """Let the votes of this round be seen, or hide them again."""
        place = _place(lesson, round)
        self.shown = self.shown | {place} if shown else self.shown - {place}
        self.version += 1

    def call(self, lesson: str, round: str, now: float) -> str:
        """A line in everybody's notebook; returns it."""
        _place(lesson, round)
        text = f"The instructor asks all to go to lesson {lesson}, {_title(round)}."
        self.line = Line(self.line.number + 1, text, now)
        self.version += 1
        return text

    def remove(self, name: str) -> None:
        """Free a name. Raises LabError if nobody has it."""
        for learner in list(self.learners.values()):
            if learner.name == name:
                return self.leave(learner)
        raise LabError(f"nobody here is called {name}")

    # -- what is seen

    def times(self) -> list[dict[str, Any]]:
        """Each round that somebody has finished: the plan's minutes, the median, and of how many learners."""
        found = []
        for lesson, answers in ANSWERS.items():
            for round in answers:
                place = f"{lesson} {round}"
                taken = [each.minutes[place] for each in self.learners.values() if place in each.minutes]
                if taken:
                    found.append(
                        {
                            "lesson": lesson,
                            "round": round,
                            "planned_minutes": round_minutes(lesson, round),
                            "median_minutes": median(taken),
                            "learners": len(taken),
                        }
                    )
        return found

    def votes(self, place: str) -> dict[str, Any]:
        """How many have voted; for what, only while it is shown."""
        choices = [each.choices[place] for each in self.learners.values() if place in each.choices]
        shown = place in self.shown
        return {
            "voted": len(choices),
            "shown": shown,
            "counts": {choice: choices.count(choice) for choice in CHOICES} if shown else None,
        }

    # -- a restarted board goes on

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        learners = [asdict(each) for each in self.learners.values()]
        return {"learners": learners, "gone": sorted(self.gone), "shown": sorted(self.shown), "line": asdict(self.line)}

    @classmethod
    def load(cls, data: dict[str, Any]) -> Board:
        """What `dump` gave."""
        board = cls()
        for row in data["learners"]:
            trouble = Verdict(row["trouble"]) if row["trouble"] else None
            board.learners[row["seat"]] = Learner(**row | {"trouble": trouble})
        board.gone, board.shown = set(data["gone"]), set(data["shown"])
        board.line = Line(**data["line"])
        return board


def _place(lesson: str, round: str) -> str:
    if round not in rounds(lesson):
        raise LabError(f"lesson {lesson} has no round {round}")
    return f"{lesson} {round}"


def _title(round: str) -> str:
    return f"round {round}" if round[0].isdigit() else round.replace("-", " ")
