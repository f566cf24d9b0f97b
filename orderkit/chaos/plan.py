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

    KILL = "kill"  # SIGKILL; the supervisor starts it again
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


class Deed(StrEnum):
    """What a person does to an order by hand, in Temporal's UI or CLI."""

    MESSAGES = "messages"  # without input, of wrong shapes, under a wrong name
    START = "start"  # workflows like this one, and others that are none
    RESET = "reset"  # of the workflow, to its beginning
    TERMINATE = "terminate"
    DELETE = "delete"
    KILL_CHILD = "kill child"
    COMPLETE = "complete"  # an activity, with a result that is none
    FAIL = "fail"  # an activity
    PAUSE = "pause activity"
    UNPAUSE = "unpause activity"
    RESET_ACTIVITY = "reset activity"


@dataclass(frozen=True)
class OrderPlan:
    """An order, the time of its start, and its messages and interventions with their seconds after the start."""

    order_id: OrderId
    at_seconds: float
    seed: int
    sayings: tuple[tuple[float, Saying], ...]
    deeds: tuple[tuple[float, Deed], ...] = ()


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
    by_hand: float = 0.4,
) -> ChaosPlan:
    """The plan of a seed, order ids and faults included. Every kind of process is killed in turn, at random moments.

    `by_hand` is the share of orders to which a person does something in Temporal.
    """
    draw = random.Random(seed)
    hand = random.Random(f"{seed} by hand")  # of its own, so that the other draws stay what they were
    order_plans = []
    for number in range(orders):
        sayings = [(draw.uniform(0, 4), saying) for saying in Saying if draw.random() < 0.3]
        order_plans.append(
            OrderPlan(
                OrderId(f"chaos-{seed}-{number:03}"),
                draw.uniform(0, 0.8 * seconds),
                draw.randrange(2**31),
                tuple(sorted(sayings)),
                _deeds(hand) if hand.random() < by_hand else (),
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


def _deeds(draw: random.Random) -> tuple[tuple[float, Deed], ...]:
    """One or two, at moments when an order is likely to be under way."""
    chosen = draw.sample(list(Deed), draw.choice((1, 1, 2)))
    return tuple(sorted((draw.uniform(0, 3), deed) for deed in chosen))
