"""OrderWorkflow: receive, validate, review, charge, ship; inside a deadline; undone when stopped.

The forward path runs as a task of its own. The main coroutine waits for it, for a stop request, or for the
deadline less its reserve. On a stop the database decides (`stop_order_activity`): stopped, then the forward path
is cancelled and what was done is undone in reverse order; or too late, since the carrier has the package.

One file, though long: it is one state machine, and is replayed and versioned as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from orderkit.core.calls import (
        ChargeInput,
        CloseInput,
        DispatchResult,
        OrderStepInput,
        RefundInput,
        RefundResult,
        ShippingInput,
        StepInput,
        StopInput,
        StopResult,
    )
    from orderkit.core.messages import (
        DEADLINE,
        Answer,
        CancelOrder,
        OrderResult,
        ReviewOrder,
        Stop,
        StopKind,
        UpdateAddress,
        WorkflowStatus,
    )
    from orderkit.core.orders import (
        OrderId,
        OrderInput,
        OrderState,
        Review,
        check_can_run,
        earlier_shipping_workflow_id,
        order_workflow_id,
        shipping_workflow_id,
    )
    from orderkit.core.policies import Deadline
    from orderkit.core.steps import SHIPPING_QUEUE, Step
    from orderkit.errors import OrderExists
    from orderkit.temporal.inputs import invalid_input
    from orderkit.workflows.failures import dispatch_attempts, is_second_workflow, no_row, stop_for
    from orderkit.workflows.messages import OrderMessages
    from orderkit.workflows.options import run_step
    from orderkit.workflows.shipping import ShippingWorkflow
    from orderkit.workflows.story import Story

T = TypeVar("T")
_OWN_IDS = "shipping-runs-have-ids-of-their-own"
_CHECKED_START = "start-is-checked"
_ALL_UNDONE = "all-is-undone-after-a-reset"


@workflow.defn(name="OrderWorkflow")
class OrderWorkflow:
    """One order, from receipt to its end."""

    @workflow.init
    def __init__(self, order: OrderInput | None = None) -> None:
        order = order or OrderInput(OrderId(""))  # `run` refuses it
        self._order = order
        self._deadline = Deadline(order.deadline_seconds)
        self._messages = OrderMessages(order)
        self._step = Step.RECEIVE
        self._shipping_runs = 0
        self._compensations: list[Step] = []
        self._refund = RefundResult(charged_cents=0, refunded_cents=0)
        self._tracking = ""
        self._story = Story()

    @workflow.run
    async def run(self, order: OrderInput | None = None) -> OrderResult:
        """Returns how the order ended. Fails as OrderFailed, after compensation, when attempts or time ran out.

        Fails as InvalidInput, at once and with nothing recorded, when it cannot run or is not the order's own workflow.
        """
        self._check_start(order)
        forward = asyncio.create_task(self._go_forward())
        while True:
            stop = await self._next_stop(forward)
            if stop is None:
                return await self._uninterrupted(self._end(OrderState.SHIPPED, "shipped"))
            stopped = await self._uninterrupted(self._decided(stop))
            if stopped is not None:
                self._story.tell(f"stopped: {stopped.reason}; what was done is undone")
                forward.cancel()
                await self._uninterrupted(_finished(forward))
                await self._uninterrupted(self._compensate(stopped))
                end = await self._uninterrupted(self._end(OrderState(stopped.kind), stopped.reason))
                return self._result_of(stopped, end)
            self._messages.note_dispatched()
            if forward.done() or stop.by == DEADLINE:
                # The carrier has the package, so the order ships, whatever happened before.
                forward.cancel()
                await self._uninterrupted(_finished(forward))
                forward = asyncio.create_task(self._ship())

    def _check_start(self, order: OrderInput | None) -> None:
        """Refuse an input that the API would refuse; a person may have started it in Temporal's UI."""
        if order is None:
            raise invalid_input("OrderWorkflow was started without its input, an OrderInput; order_id is missing")
        why = "; ".join(f"{problem.field}: {problem.message}" for problem in check_can_run(order))
        own, mine = order_workflow_id(order.order_id), workflow.info().workflow_id
        if mine != own:
            why = why or f"order {order.order_id} has a workflow of its own, called {own}; {mine} does nothing"
        # An order that an earlier version accepted goes on, even if we would refuse it now.
        if why and workflow.patched(_CHECKED_START):
            raise invalid_input(why)

    # The forward path

    async def _go_forward(self) -> None:
        order = self._order
        await self._forward_step(Step.RECEIVE, self._order_input())
        self._messages.note_row(exists=True)
        self._story.tell("received")
        await self._forward_step(Step.VALIDATE, self._order_input())
        if order.review is not Review.NONE:
            await self._forward_step(Step.REVIEW, self._order_input())
            self._story.tell(f"in review ({order.review})")
            if order.review is Review.HUMAN:
                self._story.mark(OrderState.IN_REVIEW)
            await self._messages.wait_for_review()
            if order.review is Review.HUMAN:
                self._story.mark(OrderState.APPROVED)
            self._story.tell(self._messages.review_state)
        self._compensations.append(Step.REFUND)
        await self._forward_step(Step.CHARGE, self._charge_input())
        self._story.tell("charged")
        await self._ship_package()
        self._story.tell("with the carrier: from here on it ships")
        self._messages.note_dispatched()
        await self._ship()

    async def _forward_step(self, step: Step, step_input: StepInput) -> None:
        if self._messages.stopping:
            # A cancel can be lost when a message and a completion arrive together (sdk-python #620).
            raise asyncio.CancelledError
        self._step = step
        await run_step(step, step_input, self._order.policy)

    async def _ship_package(self) -> None:
        """Run the shipping child; again while the carrier cannot be had and the time lasts."""
        attempts: dict[Step, int] = {}
        self._compensations.append(Step.RECALL)
        while not self._messages.stopping:
            self._step = Step.DISPATCH
            self._shipping_runs += 1
            run = self._shipping_runs
            order = self._order
            try:
                result: DispatchResult = await workflow.execute_child_workflow(
                    ShippingWorkflow.run,
                    ShippingInput(order.order_id, order.faults, order.policy, run, attempts),
                    id=_shipping_id(order.order_id, run),
                    task_queue=SHIPPING_QUEUE,
                    cancellation_type=ChildWorkflowCancellationType.TRY_CANCEL,
                    parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                    task_timeout=workflow.info().task_timeout,
                    static_summary=f"shipping of order {order.order_id}",
                )
            except WorkflowAlreadyStartedError:
                if not workflow.patched(_OWN_IDS):
                    raise
                continue  # this order's own, from before a reset, which ends with it; or a stranger of that name
            except Exception as error:
                made = dispatch_attempts(error)
                if made is None:
                    raise
                attempts = {Step.DISPATCH: made}
            else:
                self._tracking = result.tracking
                return
        raise asyncio.CancelledError

    async def _ship(self) -> None:
        self._step = Step.SHIP
        await run_step(Step.SHIP, self._step_input())

    # Stopping

    async def _next_stop(self, forward: asyncio.Task[None]) -> Stop | None:
        """Wait until something wants the order stopped; None once it is shipped."""

        def something_happened() -> bool:
            messages = self._messages
            asked = messages.open_stop is not None or workflow.cancellation_reason() is not None
            return forward.done() or messages.past_no_return or asked

        left = self._deadline.forward_left_seconds(self._elapsed_seconds())
        try:
            if not self._messages.past_no_return:
                await workflow.wait_condition(
                    something_happened,
                    timeout=timedelta(seconds=left),
                    timeout_summary=f"deadline of {self._order.deadline_seconds:g} s, less the time to undo",
                )
            if self._messages.past_no_return:
                await workflow.wait_condition(forward.done)
        except TimeoutError:
            return self._messages.request_stop(self._deadline_stop())
        except asyncio.CancelledError:
            pass
        if forward.done() and not forward.cancelled() and forward.exception() is None:
            return None
        if self._messages.open_stop is not None:
            return self._messages.open_stop
        if not forward.done() and not self._messages.past_no_return:
            return self._messages.request_stop(
                Stop(StopKind.CANCELLED, "cancelled in Temporal", "Temporal", native=True)
            )
        if not forward.done():
            return await self._next_stop(forward)
        if not forward.cancelled() and is_second_workflow(forward.exception()):
            raise self._not_its_own() from None
        return self._messages.request_stop(stop_for(forward, self._order.policy))

    def _deadline_stop(self) -> Stop:
        if self._messages.waits_for_human:
            return Stop(StopKind.CANCELLED, "nobody reviewed the order in time", DEADLINE)
        seconds = self._order.deadline_seconds
        return Stop(StopKind.FAILED, f"the {seconds:g} s deadline came near during {self._step}", DEADLINE)

    async def _decided(self, stop: Stop) -> Stop | None:
        """Let the database decide: the stop that holds, an earlier one perhaps; None when the carrier has the package.

        An order that cannot even have a row has nothing to undo. Fails as OrderExists for another workflow's order.
        """
        step_input = StopInput(
            order_id=self._order.order_id,
            faults=self._order.faults,
            order=self._order,
            started_at=workflow.info().start_time,
            stop=stop,
            first_run_id=workflow.info().first_execution_run_id,
        )
        decided: Stop | None = stop
        try:
            result: StopResult = await run_step(Step.STOP, step_input)
        except Exception as error:
            if is_second_workflow(error):
                raise self._not_its_own() from None
            if not no_row(error):
                raise
            self._compensations.clear()
            self._messages.note_row(exists=False)
        else:
            decided = replace(result.stop or stop, native=stop.native) if result.stopped else None
            if decided is not None:
                self._messages.note_row(exists=True)
        self._messages.settle_stop(decided)
        return decided

    def _not_its_own(self) -> ApplicationError:
        order_id = self._order.order_id
        reason = f"order {order_id} exists already, with a workflow of its own; this one does nothing"
        return ApplicationError(reason, type=OrderExists.__name__, non_retryable=True)

    async def _compensate(self, stop: Stop) -> None:
        """Undo in reverse order; each step is retried until it succeeds."""
        if not self._messages.row_exists:
            return
        # A run that was reset knows only what it has done itself; before the reset, more may have been done.
        if workflow.info().run_id != workflow.info().original_execution_run_id and workflow.patched(_ALL_UNDONE):
            self._compensations = [Step.REFUND, Step.RECALL]
        while self._compensations:
            self._step = self._compensations.pop()
            if self._step is Step.REFUND:
                step_input = RefundInput(
                    order_id=self._order.order_id, faults=self._order.faults, payment_id=self._order.payment_key
                )
                self._refund = await run_step(Step.REFUND, step_input)
            else:
                await run_step(self._step, self._step_input())
        self._step = Step.CLOSE
        close = CloseInput(order_id=self._order.order_id, faults=self._order.faults, kind=stop.kind, reason=stop.reason)
        await run_step(Step.CLOSE, close)

    # The end

    async def _end(self, state: OrderState, reason: str) -> OrderResult:
        self._messages.note_end()
        self._story.tell(f"{state}: {reason}" if reason != state else state)
        self._story.mark(state)
        await workflow.wait_condition(workflow.all_handlers_finished)
        await self._messages.refusals.settle()
        shipped = state is OrderState.SHIPPED
        return OrderResult(
            order_id=self._order.order_id,
            outcome=state,
            reason=reason,
            charged_cents=self._order.amount_cents if shipped else self._refund.charged_cents,
            refunded_cents=self._refund.refunded_cents,
            tracking=self._tracking if shipped else "",
        )

    def _result_of(self, stop: Stop, result: OrderResult) -> OrderResult:
        if stop.native:
            raise asyncio.CancelledError
        if stop.kind is StopKind.FAILED:
            raise ApplicationError(f"order failed: {stop.reason}", result, type="OrderFailed", non_retryable=True)
        return result

    # Messages

    @workflow.signal(dynamic=True)
    async def receive_signal(self, name: str, inputs: Sequence[RawValue]) -> None:
        """Every signal, raw: `core.messages.SIGNALS` says what each carries, `temporal.inputs` why they come in raw."""
        await self._messages.receive(name, inputs)

    @workflow.update(name="cancel")
    async def cancel_update(self, message: CancelOrder) -> Answer:
        """Stop the order; answers once the database has decided."""
        self._messages.cancel(message)
        return await self._messages.stop_answer()

    @cancel_update.validator
    def _cancel_validator(self, message: CancelOrder) -> None:
        self._messages.check_cancel(message)

    @workflow.update(name="address")
    async def address_update(self, message: UpdateAddress) -> Answer:
        """Send the package elsewhere; answers once the database has decided."""
        return await self._messages.change_address(message)

    @address_update.validator
    def _address_validator(self, message: UpdateAddress) -> None:
        self._messages.check_address(message)

    @workflow.update(name="review")
    async def review_update(self, message: ReviewOrder) -> Answer:
        """Approve or reject."""
        self._messages.review(message)
        return Answer("approved") if message.approve else await self._messages.stop_answer()

    @review_update.validator
    def _review_validator(self, message: ReviewOrder) -> None:
        self._messages.check_review(message)

    @workflow.query
    def status(self) -> WorkflowStatus:
        """Where the order stands, from the workflow's own memory."""
        return WorkflowStatus(
            order_id=self._order.order_id,
            step=self._step,
            review=self._messages.review_state,
            stop=self._messages.open_stop or self._messages.stop,
            past_no_return=self._messages.past_no_return,
            shipping_runs=self._shipping_runs,
            deadline_left_seconds=self._deadline.left_seconds(self._elapsed_seconds()),
            refused=self._messages.refusals.recent,
        )

    # Details

    async def _uninterrupted(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end, even if the workflow is cancelled meanwhile."""
        task = asyncio.create_task(work)
        while True:
            try:
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.done():
                    return task.result()

    def _elapsed_seconds(self) -> float:
        return (workflow.now() - workflow.info().start_time).total_seconds()

    def _step_input(self) -> StepInput:
        return StepInput(order_id=self._order.order_id, faults=self._order.faults)

    def _order_input(self) -> OrderStepInput:
        return OrderStepInput(
            order_id=self._order.order_id,
            faults=self._order.faults,
            order=self._order,
            started_at=workflow.info().start_time,
            first_run_id=workflow.info().first_execution_run_id,
        )

    def _charge_input(self) -> ChargeInput:
        decision = self._messages.decision
        return ChargeInput(
            order_id=self._order.order_id,
            faults=self._order.faults,
            payment_id=self._order.payment_key,
            amount_cents=self._order.amount_cents,
            approved_by=decision.reviewer if decision else "no review",
            note=decision.note if decision else "",
        )


def _shipping_id(order_id: str, run: int) -> str:
    if run > 1 and not workflow.patched(_OWN_IDS):
        return earlier_shipping_workflow_id(order_id, run)
    return shipping_workflow_id(order_id, run)


async def _finished(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)
