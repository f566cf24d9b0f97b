"""Says in words why an order's time ran out: what delayed it last."""

from dataclasses import dataclass

from orderkit.core.events import AttemptState
from orderkit.core.orders import OrderState
from orderkit.core.steps import FORWARD_STEPS, ORDER_QUEUE, POLICY_STEPS, SHIPPING_QUEUE, Step

SHIPPING_STEPS = frozenset({Step.PREPARE, Step.DISPATCH})


@dataclass(frozen=True)
class LastAttempt:
    """The newest attempt of a forward step."""

    step: Step
    number: int
    state: AttemptState
    error: str


def deadline_reason(seconds: float, state: OrderState | None, last: LastAttempt | None) -> str:
    """`the 15 s deadline came near: charge was on attempt 3, which had not answered`."""
    return f"the {seconds:g} s deadline came near: {_what(state, last)}"


def _what(state: OrderState | None, last: LastAttempt | None) -> str:
    if last is None:
        return _nobody_took(Step.RECEIVE)
    attempt = f"attempt {last.number} of {last.step}"
    match last.state:
        case AttemptState.RUNNING:
            return f"{attempt} had not answered yet"
        case AttemptState.LOST:
            return f"{attempt} was lost with its worker"
        case AttemptState.COMPLETED if state is OrderState.IN_REVIEW:
            return "it was still in review"
        case AttemptState.COMPLETED if last.step in POLICY_STEPS:
            return _nobody_took(FORWARD_STEPS[FORWARD_STEPS.index(last.step) + 1])
        case _:
            return f"{attempt} ended as {last.state.replace('_', ' ')}{f' ({last.error})' if last.error else ''}"


def _nobody_took(step: Step) -> str:
    queue = SHIPPING_QUEUE if step in SHIPPING_STEPS else ORDER_QUEUE
    return f"no worker of {queue} had taken up {step}"
