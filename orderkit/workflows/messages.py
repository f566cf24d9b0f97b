"""The message handlers of one order: each message is judged, acted on and remembered. Every one is safe to repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from orderkit.core.calls import AddressInput, AddressResult
from orderkit.core.messages import (
    MESSAGE_REFUSED,
    SIGNALS,
    Answer,
    CancelOrder,
    DispatchFailed,
    ReviewDecision,
    ReviewOrder,
    Stop,
    StopKind,
    UpdateAddress,
    check_message,
)
from orderkit.core.orders import OrderInput, Review
from orderkit.core.steps import Step
from orderkit.temporal.inputs import Unreadable, read_one
from orderkit.workflows.options import run_step
from orderkit.workflows.refusals import Refusals

TIMER = "timer"


class OrderMessages:
    """What was asked of an order, and what the database decided. Refusals are ApplicationErrors of type MessageRefused.

    Only this class writes its fields; the workflow notes what it learns with the `note_…` methods.
    """

    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self.open_stop: Stop | None = None  # asked for, not decided yet
        self.stop: Stop | None = None  # decided by the database: the order is stopped
        self.past_no_return = False  # decided by the database: the carrier has the package
        self.row_exists = False
        self.ended = False
        self.decision: ReviewDecision | None = None
        self.in_review = False
        self.refusals = Refusals(order.order_id)
        self._addresses: list[UpdateAddress] = []
        self._addresses_settled = 0
        self._address_result = AddressResult(changed=True)
        self._address_lock = asyncio.Lock()

    # Stops

    @property
    def stopping(self) -> bool:
        """Whether the database has stopped the order."""
        return self.stop is not None

    def request_stop(self, stop: Stop) -> Stop:
        """Ask for a stop; the first one stands."""
        if self.stop is not None:
            return self.stop
        if self.open_stop is None:
            self.open_stop = stop
        return self.open_stop

    def settle_stop(self, decided: Stop | None) -> None:
        """Note what the database decided: the stop that holds, or None, since the carrier has the package."""
        self.stop = decided
        self.past_no_return = decided is None
        self.open_stop = None

    def note_row(self, exists: bool) -> None:
        """Note whether the order has a row; address changes wait for it."""
        self.row_exists = exists

    def note_dispatched(self) -> None:
        """Note that the carrier has the package: from now on every message comes too late."""
        self.past_no_return = True

    def note_end(self) -> None:
        """Note that the order has ended, and answer the updates that still wait."""
        self.ended = True

    async def stop_answer(self) -> Answer:
        """Wait for the database's decision; refuses when the order was dispatched, or stopped for another reason."""
        await workflow.wait_condition(lambda: self.open_stop is None or self.ended)
        if self.stop is None:
            raise _refusal(self._too_late())
        if self.stop.kind is not StopKind.CANCELLED:
            raise _refusal(f"the order is being closed already: {self.stop.reason}")
        return Answer(f"cancelled: {self.stop.reason}")

    # Messages

    async def receive(self, name: str, inputs: Sequence[RawValue]) -> None:
        """Act on a signal, whatever it is. Nobody hears a refusal, so it is noted: name and why, never the content."""
        try:
            await self._act(name, read_signal(name, inputs))
        except ApplicationError as error:
            if error.type != MESSAGE_REFUSED:
                raise
            self.refusals.add(name, error.message)

    async def _act(self, name: str, message: object) -> None:
        match message:
            case CancelOrder():
                self.cancel(message)
            case UpdateAddress():
                await self.change_address(message)
            case ReviewDecision():
                self.review(ReviewOrder(name == "approve_order", message.reviewer, message.note))
            case DispatchFailed():
                pass  # the child's own failure follows, and is acted on

    def check_cancel(self, message: CancelOrder) -> None:
        """Refuse a malformed cancel, and one that comes too late."""
        _check(message)
        self._check_open()

    def cancel(self, message: CancelOrder) -> None:
        """Ask for a stop in a person's name."""
        self.check_cancel(message)
        self.request_stop(Stop(StopKind.CANCELLED, message.reason or "no reason given", message.cancelled_by))

    def check_review(self, message: ReviewOrder) -> None:
        """Refuse a malformed decision, one that contradicts an earlier one, and one that comes too late."""
        _check(message)
        if self._order.review is Review.NONE:
            raise _refusal("this order has no review")
        asked = self.open_stop or self.stop
        if self.decision is not None and not (message.approve and self.decision.reviewer != TIMER):
            raise _refusal(f"the order was approved already, by {self.decision.reviewer}")
        if asked is not None and (message.approve or not asked.reason.startswith("rejected by")):
            raise _refusal(f"the order is being closed already: {asked.reason}")
        self._check_open()

    def review(self, message: ReviewOrder) -> None:
        """Note the decision; a rejection cancels the order."""
        self.check_review(message)
        if message.approve:
            self.decision = self.decision or ReviewDecision(message.reviewer, message.note)
        else:
            note = f": {message.note}" if message.note else ""
            self.request_stop(Stop(StopKind.CANCELLED, f"rejected by {message.reviewer}{note}", message.reviewer))

    async def wait_for_review(self) -> None:
        """Race the review timer against a person; in a human review only a person ends the wait."""
        self.in_review = True
        timeout = timedelta(seconds=self._order.review_seconds) if self._order.review is Review.AUTO else None
        try:
            await workflow.wait_condition(
                # Past the point of no return in a review: the order was reset, and a cancel came too late.
                lambda: self.decision is not None or self.stopping or self.past_no_return,
                timeout=timeout,
                timeout_summary="review: approved when it goes off, unless a person is faster",
            )
        except TimeoutError:
            self.decision = self.decision or ReviewDecision(TIMER)
        self.in_review = False
        if self.stopping:
            raise asyncio.CancelledError

    @property
    def waits_for_human(self) -> bool:
        """Whether the order stands still until a person decides."""
        return self.in_review and self._order.review is Review.HUMAN

    @property
    def review_state(self) -> str:
        """For the query: none, pending, waiting, or who approved."""
        if self._order.review is Review.NONE:
            return "none"
        if self.decision is not None:
            return f"approved by {self.decision.reviewer}"
        return "waiting" if self.in_review else "pending"

    def check_address(self, message: UpdateAddress) -> None:
        """Refuse a malformed address, and a change that comes too late."""
        _check(message)
        self._check_open()

    async def change_address(self, message: UpdateAddress) -> Answer:
        """Change the address; of several that wait, the last one wins and answers for all."""
        self.check_address(message)
        self._addresses.append(message)
        number = len(self._addresses)
        async with self._address_lock:
            if self._addresses_settled < number:
                await self._settle_addresses()
        if not self._address_result.changed:
            raise _refusal(self._address_result.reason)
        return Answer("the address is changed")

    async def _settle_addresses(self) -> None:
        await workflow.wait_condition(lambda: self.row_exists or self.ended)
        if self.ended:
            raise _refusal(self._too_late())
        count = len(self._addresses)
        step_input = AddressInput(
            order_id=self._order.order_id,
            faults=self._order.faults,
            change=self._addresses[-1],
            superseded=count - self._addresses_settled - 1,
        )
        self._address_result = await run_step(Step.ADDRESS, step_input)
        self._addresses_settled = count

    def _check_open(self) -> None:
        if self.ended or self.past_no_return:
            raise _refusal(self._too_late())

    def _too_late(self) -> str:
        if self.past_no_return:
            return "too late: the carrier has the package"
        return f"too late: the order has ended{f' ({self.stop.reason})' if self.stop else ''}"


def _check(message: CancelOrder | UpdateAddress | ReviewOrder) -> None:
    problems = check_message(message)
    if problems:
        raise _refusal("; ".join(f"{problem.field}: {problem.message}" for problem in problems))


def read_signal(name: str, inputs: Sequence[RawValue]) -> object:
    """A signal's input as its dataclass; refuses an unknown name and an invalid input."""
    wanted = SIGNALS.get(name)
    if wanted is None:
        raise _refusal(f"no such message; an order takes {', '.join(SIGNALS)}")
    try:
        return read_one(inputs, wanted, workflow.payload_converter())
    except Unreadable as why:
        raise _refusal(f"its input cannot be used: {why}") from None


def _refusal(reason: str) -> ApplicationError:
    return ApplicationError(reason, type=MESSAGE_REFUSED, non_retryable=True)
