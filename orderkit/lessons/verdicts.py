"""What a check says: each thing that it looked at, and after a miss one hint, a plainer one each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orderkit.analysis.markup import escape
from orderkit.course import progress

_tries: Counter[str] = Counter()  # misses of each exercise, since the kernel started


@dataclass(frozen=True)
class Observation:
    """One thing that was looked at."""

    ok: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """Truthy when the exercise is solved."""

    findings: tuple[Observation, ...]
    hint: str = ""

    def __bool__(self) -> bool:
        return all(finding.ok for finding in self.findings)

    def _lines(self) -> list[str]:
        lines = [f"{'✔' if finding.ok else '✖'} {finding.text}" for finding in self.findings]
        return [*lines, "Solved." if self else "Not yet."] + ([self.hint] if self.hint else [])

    def __repr__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        colour = "#00765A" if self else "#B04A00"
        style = f"font-size:115%;line-height:1.7;padding:.5em 1em;border-left:.5em solid {colour}"
        return f'<div style="{style}">{"<br>".join(map(escape, self._lines()))}</div>'


def verdict(exercise: str, findings: Sequence[Observation], hints: Sequence[str], known: bool = False) -> Verdict:
    """Solved, or with the next of `hints`; the last one stays. `known`: the findings show that hint 1 was followed."""
    if all(finding.ok for finding in findings):
        _tries.pop(exercise, None)
        progress.judge(progress.Verdict.SOLVED)
        return Verdict(tuple(findings))
    _tries[exercise] = max(_tries[exercise], int(known)) + 1
    progress.judge(progress.Verdict.MISSED)
    stage = min(_tries[exercise], len(hints))
    more = "; run the check again for another one" if stage < len(hints) else ""
    return Verdict(tuple(findings), f"Hint {stage} of {len(hints)}: {hints[stage - 1]}{more}")
