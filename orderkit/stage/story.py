"""`orderkit demo --stage`: five chapters, each an action on the stage with the presenter's cue."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from orderkit.audit.audit import audit
from orderkit.core.world import Service, ServiceState
from orderkit.errors import OrderkitError
from orderkit.stage.stage import Stage
from orderkit.stage.state import PROGRAMS
from orderkit.temporal.client import connect_temporal

WAITING_ORDERS = 30
_MIDDLE_SECONDS = 0.7  # how long an attempt runs before the blow, so that people see it run
Act = Callable[[Stage], Awaitable[str]]


@dataclass(frozen=True)
class Chapter:
    """`act` makes it happen and says how it ended; `cue` is for the presenter to say."""

    title: str
    cue: str
    act: Act


@dataclass
class Story:
    """Which chapter is on, and how it went."""

    stage: Stage
    chapters: tuple[Chapter, ...]
    number: int = 0  # of the chapter on stage, from 1
    said: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def picture(self) -> dict[str, object]:
        """For the page."""
        chapter = self.chapters[self.number - 1] if self.number else None
        return {
            "number": self.number,
            "of": len(self.chapters),
            "title": chapter.title if chapter else "An order that survives",
            "cue": chapter.cue if chapter else "One order is one workflow. Press → to begin.",
            "runs": self.runs,
            "said": self.said,
        }

    @property
    def runs(self) -> bool:
        """Whether the chapter is still under way."""
        return self.task is not None and not self.task.done()

    async def next(self) -> str:
        """Begin the next chapter; returns what to say."""
        if self.runs:
            return "this chapter is still under way"
        if self.number == len(self.chapters):
            return "that was the last chapter"
        self.number += 1
        self.said = ""
        self.task = asyncio.create_task(self._act(self.chapters[self.number - 1]))
        await self.stage.tell()
        return f"chapter {self.number}"

    async def _act(self, chapter: Chapter) -> None:
        try:
            self.said = await chapter.act(self.stage)
        except OrderkitError as error:
            self.said = f"✖ {error}"
        finally:
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self.stage.tell()))


def tell(stage: Stage, outage_seconds: float = 20) -> Story:
    """The story on this stage, of a lab that is fresh."""
    return Story(
        stage,
        (
            Chapter(
                "A charge fails",
                "“It fails, then it hangs. No line of the workflow says retry.” Point at ✖, ◷ and ✔.",
                _charge_fails,
            ),
            Chapter(
                "A worker dies",
                "“I kill the process that charges.” Point at ☠ and at the new pid: another one goes on.",
                _worker_dies,
            ),
            Chapter(
                "The provider is down",
                f"“{WAITING_ORDERS} orders, and nobody takes the money for {outage_seconds:g} s.” None is lost.",
                lambda stage: _provider_is_down(stage, outage_seconds),
            ),
            Chapter(
                "All four programs die",
                "“Worker, API, Temporal, PostgreSQL: at once.” Where were the orders? On the disk.",
                _all_die,
            ),
            Chapter(
                "The audit",
                "“History, tables and the provider's ledger: does each customer pay once, for one package?”",
                _audit,
            ),
        ),
    )


async def _charge_fails(stage: Stage) -> str:
    await stage.start("tea", "charge=error,hang,ok", policy="spec", deadline=30)
    return await _ended(stage, ["tea"])


async def _worker_dies(stage: Stage) -> str:
    await stage.start("pot", "charge=hang,ok", policy="spec", deadline=60)
    await _charges(stage, ["pot"])
    killed = await stage.kill("worker")
    return f"{killed}; {await _ended(stage, ['pot'])}"


async def _provider_is_down(stage: Stage, seconds: float) -> str:
    await stage.switch(Service.PAYMENTS, ServiceState.DOWN)
    names = [f"cup-{number}" for number in range(1, WAITING_ORDERS + 1)]
    try:
        for name in names:  # one after the other: so they do not ask at the same moment either
            await stage.start(name)
        await asyncio.sleep(seconds)
    finally:
        await stage.switch(Service.PAYMENTS, ServiceState.UP)
    return await _ended(stage, names)


async def _all_die(stage: Stage) -> str:
    names = [f"bowl-{number}" for number in range(1, 6)]
    await asyncio.gather(*(stage.start(name, "charge=hang,ok", policy="spec") for name in names))
    await _charges(stage, names)
    await asyncio.gather(*(stage.kill(program) for program in PROGRAMS))
    return f"killed all four; {await _ended(stage, names)}"


async def _audit(stage: Stage) -> str:
    client = await connect_temporal(stage.stack.temporal_settings())
    report = await audit(stage.pool, client)
    sign = "✖" if report.findings else "✔"
    return f"{sign} {report.orders} orders, {len(report.findings)} findings"


async def _charges(stage: Stage, names: list[str]) -> None:
    """Until each of them is being charged, and a moment more."""

    def all_charge() -> bool:
        rows = [stage.order(name) for name in names]
        return all(row is not None and "charge" in row["steps"] for row in rows)

    await stage.until(all_charge, "the orders are being charged")
    await asyncio.sleep(_MIDDLE_SECONDS)


async def _ended(stage: Stage, names: list[str]) -> str:
    """Until each has ended; says how."""

    def all_closed() -> bool:
        rows = [stage.order(name) for name in names]
        return all(row is not None and row["closed"] for row in rows)

    await stage.until(all_closed, "the orders end")
    states = [row["state"] for name in names if (row := stage.order(name))]
    counted = {state: states.count(state) for state in sorted(set(states))}
    return ", ".join(f"{count} {state}" if len(names) > 1 else state for state, count in counted.items())
