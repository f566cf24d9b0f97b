"""Why an order ended, in words: what really held it up last."""

from __future__ import annotations

import re

import pytest
from support.shop import Shop

from orderkit.core.events import AttemptState
from orderkit.core.faults import FaultPlan
from orderkit.core.orders import OrderId, OrderState, Review
from orderkit.core.policies import BUDGET, SPEC, Policy
from orderkit.core.reasons import LastAttempt, deadline_reason
from orderkit.core.steps import Step


async def reason_of(shop: Shop, order_id: OrderId) -> str:
    row = await shop.reader.order(order_id)
    assert row is not None
    return str(row["stop_reason"])


# The deadline may come while an attempt runs, too.
ERRORS = r"attempt \d+ of charge (ended as failed \(InjectedError: error injected into charge, a|had not answered yet)"


@pytest.mark.parametrize(
    ("faults", "policy", "told"),
    [
        ({"charge": ["error", "error", "hang"]}, SPEC, "charge: no answer within 3 s"),
        ({"charge": ["hang", "hang", "error"]}, SPEC, "charge: error injected into charge, attempt 3"),
        ({"prepare": ["error", "error", "hang"]}, SPEC, "prepare: no answer within 2 s"),
        ({"charge": ["error"] * 900}, BUDGET, ERRORS),
        ({"prepare": ["hang"] * 900}, BUDGET, "of prepare"),
    ],
    ids=["a hang at last", "an error at last", "a hang in shipping", "errors until the deadline", "hangs until then"],
)
async def test_a_reason_names_what_held_the_order_up_last(
    shop: Shop, order_id: OrderId, faults: dict[str, list[str]], policy: Policy, told: str
) -> None:
    handle = await shop.start(
        order_id,
        review=Review.NONE,
        policy=policy,
        deadline_seconds=20 if policy is SPEC else 3,
        faults=FaultPlan(script=faults),
    )
    assert await shop.end(handle) == "failed"
    reason = await reason_of(shop, order_id)
    assert re.search(told, reason)
    assert "StartToClose" not in reason and "activity" not in reason
    assert await shop.findings(order_id) == []


APPROVED, CHARGED = OrderState.APPROVED, OrderState.CHARGED


@pytest.mark.parametrize(
    ("state", "last", "told"),
    [
        (None, None, "no worker of order-tq had taken up receive"),
        (OrderState.IN_REVIEW, (Step.REVIEW, 1, "completed", ""), "it was still in review"),
        (APPROVED, (Step.CHARGE, 3, "running", ""), "attempt 3 of charge had not answered yet"),
        (APPROVED, (Step.CHARGE, 2, "timed_out", "late"), "attempt 2 of charge ended as timed out (late)"),
        (APPROVED, (Step.CHARGE, 2, "lost", ""), "attempt 2 of charge was lost with its worker"),
        (CHARGED, (Step.CHARGE, 1, "completed", ""), "no worker of shipping-tq had taken up prepare"),
        (OrderState.RECEIVED, (Step.RECEIVE, 1, "completed", ""), "no worker of order-tq had taken up validate"),
    ],
)
def test_every_case_has_its_words(state: OrderState | None, last: tuple[Step, int, str, str] | None, told: str) -> None:
    attempt = LastAttempt(last[0], last[1], AttemptState(last[2]), last[3]) if last else None
    assert deadline_reason(15, state, attempt) == f"the 15 s deadline came near: {told}"
