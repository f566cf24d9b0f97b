"""What the exhibits are made of: the real activities, called with the right inputs. Nothing here is broken."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orderkit.core.calls import (
        AddressInput,
        ChargeInput,
        CloseInput,
        OrderStepInput,
        RefundInput,
        StepInput,
        StopInput,
        StopResult,
    )
    from orderkit.core.messages import OrderResult, Stop, UpdateAddress
    from orderkit.core.orders import Address, OrderInput, OrderState
    from orderkit.core.policies import UNTIL_DONE
    from orderkit.core.steps import Step
    from orderkit.lessons.museum.activities import NOTE_STATE, LabelInput, NoteInput
    from orderkit.workflows import options


async def run_step(step: Step, order: OrderInput) -> None:
    """Receive, validate, review, charge, prepare, dispatch or ship, by the order's policy; ship until it is done."""
    policy = UNTIL_DONE if step is Step.SHIP else order.policy
    await options.run_step(step, _input(step, order), policy)


async def hand_over(order: OrderInput, address: Address) -> None:
    """Dispatch with this address on the label."""
    label = LabelInput(order_id=order.order_id, faults=order.faults, address=address)
    await options.run_step(Step.DISPATCH, label, order.policy)


async def change_address(order: OrderInput, change: UpdateAddress) -> None:
    """Write the new address to the database."""
    await options.run_step(Step.ADDRESS, AddressInput(order_id=order.order_id, faults=order.faults, change=change))


async def stop_order(order: OrderInput, stop: Stop) -> bool:
    """Ask the database to stop the order; False when the carrier has the package."""
    started_at = workflow.info().start_time
    call = StopInput(order_id=order.order_id, faults=order.faults, order=order, started_at=started_at, stop=stop)
    result: StopResult = await options.run_step(Step.STOP, call)
    return result.stopped


async def recall_package(order: OrderInput) -> None:
    """Get the package back from the carrier, if it has one."""
    await options.run_step(Step.RECALL, StepInput(order_id=order.order_id, faults=order.faults))


async def refund_payment(order: OrderInput) -> None:
    """Give back what was charged."""
    call = RefundInput(order_id=order.order_id, faults=order.faults, payment_id=order.payment_key)
    await options.run_step(Step.REFUND, call)


async def close_order(order: OrderInput, stop: Stop) -> None:
    """Give the stopped order its end."""
    call = CloseInput(order_id=order.order_id, faults=order.faults, kind=stop.kind, reason=stop.reason)
    await options.run_step(Step.CLOSE, call)


async def note_state(order: OrderInput, state: OrderState) -> None:
    """Write the order's new state to the database."""
    await workflow.execute_local_activity(
        NOTE_STATE, NoteInput(order.order_id, state), start_to_close_timeout=timedelta(seconds=5)
    )


def result(order: OrderInput, state: OrderState, reason: str = "") -> OrderResult:
    """The workflow's result."""
    return OrderResult(order.order_id, state, reason or state, charged_cents=0, refunded_cents=0)


def failure(order: OrderInput, reason: str) -> ApplicationError:
    """What a workflow raises after it has undone a failed order."""
    details = result(order, OrderState.FAILED, reason)
    return ApplicationError(f"order failed: {reason}", details, type="OrderFailed", non_retryable=True)


def _input(step: Step, order: OrderInput) -> StepInput:
    if step in (Step.RECEIVE, Step.VALIDATE, Step.REVIEW):
        started_at = workflow.info().start_time
        return OrderStepInput(order_id=order.order_id, faults=order.faults, order=order, started_at=started_at)
    if step is Step.CHARGE:
        return ChargeInput(
            order_id=order.order_id,
            faults=order.faults,
            payment_id=order.payment_key,
            amount_cents=order.amount_cents,
            approved_by="the shop",
            note="",
        )
    return StepInput(order_id=order.order_id, faults=order.faults)
