"""What the page shows, as data. Pure: rows and processes in, one JSON-able picture out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from orderkit.core.orders import OrderState
from orderkit.core.steps import FORWARD_STEPS, Step

DEATH_SHOWN_SECONDS = 8.0
PROGRAMS = ("worker", "api", "temporal", "postgres")
_STOPPING = frozenset({OrderState.COMPENSATING, OrderState.CANCELLED, OrderState.REJECTED, OrderState.FAILED})


@dataclass(frozen=True)
class ProgramNow:
    """A process of the lab as its supervisor sees it; `pid` is 0 for none."""

    name: str
    state: str
    pid: int


@dataclass(frozen=True)
class Death:
    """A process that was there and is gone."""

    name: str
    pid: int
    at: float  # on the caller's clock


@dataclass
class Programs:
    """The lab's processes over time: who died, and who came back."""

    now: dict[str, ProgramNow] = field(default_factory=dict)
    deaths: list[Death] = field(default_factory=list)

    def see(self, programs: Sequence[ProgramNow], at: float) -> list[Death]:
        """Take note of what runs; returns who died since the last look. A program that was stopped did not die."""
        died = []
        for program in programs:
            before = self.now.get(program.name)
            gone = before is not None and before.pid and before.pid != program.pid
            if before and gone and program.state not in ("stopped", "stopping"):
                died.append(Death(program.name, before.pid, at))
            self.now[program.name] = program
        self.deaths = [*self.deaths, *died]
        return died

    def shown(self, at: float) -> list[dict[str, object]]:
        """Each program with its pid, and the pid that died a moment ago."""
        recent = {death.name: death.pid for death in self.deaths if at - death.at < DEATH_SHOWN_SECONDS}
        return [asdict(program) | {"died": recent.get(program.name, 0)} for program in self.now.values()]


def order_card(row: Mapping[str, Any], died: Callable[[str], bool]) -> dict[str, object]:
    """An order as the page draws it; `died` says whether the worker of an attempt is gone."""
    steps: Mapping[str, Mapping[str, Any]] = row["steps"]
    order = [step.value for step in Step if step in steps]
    newest = max(order, key=lambda step: steps[step]["last"], default=Step.RECEIVE.value)
    return {
        "id": row["order_id"],
        "state": row["state"],
        "lane": _lane(OrderState(row["state"]), newest),
        "closed": row["closed"],
        "why": row["stop_reason"],
        "total": row["deadline_seconds"],
        "age": round(row["age_seconds"], 2),
        "steps": [
            {"step": step, "tries": steps[step]["tries"], "marks": _marks(steps[step], died)}
            for step in order
            if steps[step]["tries"] > 1 or (step == newest and not row["closed"])
        ],
    }


def _lane(state: OrderState, newest: str) -> str:
    """The column: the step in hand on the way forward, `shipped`, or `stopped`."""
    if state is OrderState.SHIPPED:
        return "shipped"
    if state in _STOPPING or newest not in FORWARD_STEPS or newest == Step.SHIP:
        return "stopped" if state in _STOPPING else "dispatch"
    return newest


def _marks(step: Mapping[str, Any], died: Callable[[str], bool]) -> list[str]:
    """The last attempts, oldest first: how each ended, `running`, or `lost`."""
    newest, *earlier = step["outcomes"]
    last = newest or ("lost" if died(step["worker"] or "") else "running")
    return [each or "lost" for each in reversed(earlier)] + [last]


def verdict(balance: Mapping[str, int]) -> str:
    """The ledger's balance in a sentence."""
    said = f"taken {balance['taken']}, shipped {balance['shipped']}"
    return said + (f", under way {balance['open']}" if balance["open"] else "")


def is_balanced(balance: Mapping[str, int]) -> bool | None:
    """Whether each customer who was charged got a package, and nobody else; None while orders are open."""
    return None if balance["open"] else balance["taken"] == balance["shipped"] == balance["sent"]
