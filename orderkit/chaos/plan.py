"""What will be done, and when: pure, from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

from orderkit.core.faults import Scenario
from orderkit.core.orders import OrderId

TARGETS = ("worker-0", "postgres", "temporal", "api")
DEADLINE_SECONDS = 120.0  # longer than the servers are ever away: what is tested is the money, not the clock


class Blow(StrEnum):
    """What happens to a process."""

    KILL = "kill"  # SIGKILL; the supervisor starts it anew
    PAUSE = "pause"  # SIGSTOP for a while, then SIGCONT


@dataclass(frozen=True)
class ProcessBlow:
    """At `at_seconds`, `target` is struck; a pause lasts `seconds`."""

    at_seconds: float
    target: str
    blow: Blow
    seconds: float = 0.0


class Saying(StrEnum):
    """What is said to an order."""

    CANCEL = "cancel"
    ADDRESS = "address"
    DUPLICATE = "duplicate"  # the same start once more


@dataclass(frozen=True)
class OrderPlan:
    """An order, when it is started, and what is said to it how many seconds later."""

    order_id: OrderId
    at_seconds: float
    seed: int
    sayings: tuple[tuple[float, Saying], ...]


@dataclass(frozen=True)
class ChaosPlan:
    """Everything that a run does."""

    seed: int
    seconds: float
    scenario: Scenario
    orders: tuple[OrderPlan, ...]
    blows: tuple[ProcessBlow, ...]


def make_plan(
    seed: int,
    orders: int = 40,
    kills: int = 8,
    pauses: int = 2,
    seconds: float = 20.0,
    scenario: Scenario = Scenario.STORM,
) -> ChaosPlan:
    """The plan of a seed, order ids and faults included. Every kind of process is killed in turn, at random moments."""
    draw = random.Random(seed)
    order_plans = []
    for number in range(orders):
        sayings = [(draw.uniform(0, 4), saying) for saying in Saying if draw.random() < 0.3]
        order_plans.append(
            OrderPlan(
                OrderId(f"chaos-{seed}-{number:03}"),
                draw.uniform(0, 0.8 * seconds),
                draw.randrange(2**31),
                tuple(sorted(sayings)),
            )
        )
    targets = [TARGETS[number % len(TARGETS)] for number in range(kills)]
    draw.shuffle(targets)
    # One blow a slot, so that a process that was just killed is mostly back before the next blow.
    slots = kills + pauses
    moments = [(number + draw.random() * 0.8 + 0.2) * seconds / (slots + 1) for number in range(slots)]
    blows = [ProcessBlow(moment, target, Blow.KILL) for moment, target in zip(moments[:kills], targets, strict=True)]
    blows += [ProcessBlow(m, draw.choice(TARGETS), Blow.PAUSE, draw.uniform(0.5, 2.5)) for m in moments[kills:]]
    draw.shuffle(moments)
    shuffled = [
        ProcessBlow(moment, blow.target, blow.blow, blow.seconds) for moment, blow in zip(moments, blows, strict=True)
    ]
    return ChaosPlan(
        seed,
        seconds,
        scenario,
        tuple(sorted(order_plans, key=lambda order: order.at_seconds)),
        tuple(sorted(shuffled, key=lambda blow: blow.at_seconds)),
    )
