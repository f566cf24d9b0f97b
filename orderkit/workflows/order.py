"""OrderWorkflow: receive, validate, review, charge, ship; inside a deadline; undone when stopped.

The forward path runs as a task of its own. The main coroutine waits for it, for a stop request, or for the
deadline less its reserve. On a stop the database decides (`stop_order_activity`): stopped, then the forward path
is cancelled and what was done is undone in reverse order; or too late, since the carrier has the package.

One file, though long: it is one state machine, and is replayed and versioned as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError
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
        Answer,
        CancelOrder,
        DispatchFailed,
        OrderResult,
        ReviewDecision,
        ReviewOrder,
        Stop,
        StopKind,
        UpdateAddress,
        WorkflowStatus,
    )
    from orderkit.core.orders import OrderInput, OrderState, Review, check_order_id, shipping_workflow_id
    from orderkit.core.policies import Deadline
    from orderkit.core.steps import SHIPPING_QUEUE, Step
    from orderkit.workflows.failures import dispatch_attempts, no_row, stop_for
    from orderkit.workflows.messages import OrderMessages
    from orderkit.workflows.options import run_step
    from orderkit.workflows.shipping import ShippingWorkflow

T = TypeVar("T")


@workflow.defn(name="OrderWorkflow")
class OrderWorkflow:
    """One order, from receipt to its end."""

    @workflow.init
    def __init__(self, order: OrderInput) -> None:
        self._order = order
        self._deadline = Deadline(order.deadline_seconds)
        self._messages = OrderMessages(order)
        self._step = Step.RECEIVE
        self._shipping_runs = 0
        self._compensations: list[Step] = []
        self._refund = RefundResult(charged_cents=0, refunded_cents=0)
        self._tracking = ""

    @workflow.run
    async def run(self, order: OrderInput) -> OrderResult:
        """Returns how the order ended. Fails as OrderFailed, after compensation, when attempts or time ran out."""
        if problems := check_order_id(order.order_id):
            # Such an id fits no row and no URL: there is nothing to record, and nothing to undo.
            return OrderResult(order.order_id, OrderState.REJECTED, problems[0].message, 0, 0)
        forward = asyncio.create_task(self._go_forward())
        while True:
            stop = await self._next_stop(forward)
            if stop is None:
                return await self._uninterrupted(self._end(OrderState.SHIPPED, "shipped"))
            if await self._uninterrupted(self._is_stopped(stop)):
                forward.cancel()
                await self._uninterrupted(_finished(forward))
                await self._uninterrupted(self._compensate(stop))
                return self._result_of(stop, await self._uninterrupted(self._end(OrderState(stop.kind), stop.reason)))
            self._messages.note_dispatched()
            if forward.done() or stop.by == "deadline":
                # The carrier has the package, so the order ships, whatever became of the way there.
                forward.cancel()
                await self._uninterrupted(_finished(forward))
                forward = asyncio.create_task(self._ship())

    # The forward path

    async def _go_forward(self) -> None:
        order = self._order
        await self._forward_step(Step.RECEIVE, self._order_input())
        self._messages.note_row(exists=True)
        await self._forward_step(Step.VALIDATE, self._order_input())
        if order.review is not Review.NONE:
            await self._forward_step(Step.REVIEW, self._order_input())
            await self._messages.wait_for_review()
        self._compensations.append(Step.REFUND)
        await self._forward_step(Step.CHARGE, self._charge_input())
        await self._ship_package()
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
                    id=shipping_workflow_id(order.order_id, run),
                    task_queue=SHIPPING_QUEUE,
                    cancellation_type=ChildWorkflowCancellationType.TRY_CANCEL,
                    parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
                    task_timeout=workflow.info().task_timeout,
                )
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
                await workflow.wait_condition(something_happened, timeout=timedelta(seconds=left))
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
        return self._messages.request_stop(stop_for(forward))

    def _deadline_stop(self) -> Stop:
        if self._messages.waits_for_human:
            return Stop(StopKind.CANCELLED, "nobody reviewed the order in time", "deadline")
        seconds = self._order.deadline_seconds
        return Stop(StopKind.FAILED, f"the {seconds:g} s deadline came near during {self._step}", "deadline")

    async def _is_stopped(self, stop: Stop) -> bool:
        """Let the database decide. An order that cannot even have a row has nothing to undo."""
        step_input = StopInput(
            order_id=self._order.order_id,
            faults=self._order.faults,
            order=self._order,
            started_at=workflow.info().start_time,
            stop=stop,
        )
        try:
            result: StopResult = await run_step(Step.STOP, step_input, result_type=StopResult)
        except Exception as error:
            if not no_row(error):
                raise
            self._messages.settle_stop(stopped=True)
            self._compensations.clear()
            self._messages.note_row(exists=False)
            return True
        self._messages.settle_stop(result.stopped)
        if result.stopped:
            self._messages.note_row(exists=True)
        return result.stopped

    async def _compensate(self, stop: Stop) -> None:
        """Undo in reverse order; each step is retried until it succeeds."""
        if not self._messages.row_exists:
            return
        while self._compensations:
            self._step = self._compensations.pop()
            if self._step is Step.REFUND:
                step_input = RefundInput(
                    order_id=self._order.order_id, faults=self._order.faults, payment_id=self._order.payment_key
                )
                self._refund = await run_step(Step.REFUND, step_input, result_type=RefundResult)
            else:
                await run_step(self._step, self._step_input())
        self._step = Step.CLOSE
        close = CloseInput(order_id=self._order.order_id, faults=self._order.faults, kind=stop.kind, reason=stop.reason)
        await run_step(Step.CLOSE, close)

    # The end

    async def _end(self, state: OrderState, reason: str) -> OrderResult:
        self._messages.note_end()
        await workflow.wait_condition(workflow.all_handlers_finished)
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

    @workflow.signal(name="cancel_order")
    def cancel_order_signal(self, message: CancelOrder) -> None:
        """Stop the order, unless the carrier has the package."""
        self._messages.signalled(lambda: self._messages.cancel(message))

    @workflow.signal(name="update_address")
    async def update_address_signal(self, message: UpdateAddress) -> None:
        """Send the package elsewhere, unless the carrier has it."""
        try:
            await self._messages.change_address(message)
        except ApplicationError as error:
            self._messages.note_refusal(error)

    @workflow.signal(name="approve_order")
    def approve_order_signal(self, message: ReviewDecision) -> None:
        """Approve the order."""
        self._messages.signalled(lambda: self._messages.review(ReviewOrder(True, message.reviewer, message.note)))

    @workflow.signal(name="reject_order")
    def reject_order_signal(self, message: ReviewDecision) -> None:
        """Reject the order, which cancels it."""
        self._messages.signalled(lambda: self._messages.review(ReviewOrder(False, message.reviewer, message.note)))

    @workflow.signal(name="dispatch_failed")
    def dispatch_failed_signal(self, message: DispatchFailed) -> None:
        """From the shipping child: the carrier could not be had. The child's failure, which follows, is acted on."""

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
            refused=self._messages.refused,
        )

    # Details

    async def _uninterrupted(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end, whatever is cancelled meanwhile."""
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


async def _finished(task: asyncio.Task[None]) -> None:
    await asyncio.gather(task, return_exceptions=True)
