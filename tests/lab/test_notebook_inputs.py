"""What people type into cells: words, types and names that are wrong, cells run again, many calls, several loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from support.classroom import notebook, whole_lab

from orderkit.core.faults import parse_plan
from orderkit.core.orders import DEFAULT_ADDRESS, OrderState
from orderkit.core.policies import PolicyName
from orderkit.core.steps import Step
from orderkit.errors import InvalidFaultPlan, InvalidOrder, LabError, OrderkitError, OrderNotFound
from orderkit.lab import Lab
from orderkit.lessons import lesson_00, lesson_02, lesson_04
from orderkit.lessons.extra_worker import hire
from orderkit.stack.stack import Stack

ELSEWHERE = replace(DEFAULT_ADDRESS, city="Shelbyville")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with whole_lab(tmp_path_factory.mktemp("inputs")) as stack:
        yield stack


@pytest_asyncio.fixture
async def lab(stack: Stack) -> AsyncIterator[Lab]:
    async with notebook(stack) as lab:
        yield lab


def names_all(error: BaseException, words: Any) -> bool:
    """Whether it is one line with all of the words."""
    return "\n" not in str(error) and all(str(word) in str(error) for word in words)


async def test_word_that_is_not_known_is_refused_with_those_that_are(lab: Lab) -> None:
    orders = lab.orders
    await orders.start("words", review="human", deadline=60)
    calls: list[tuple[Any, Any]] = [
        (orders.cancel("words", via="udpate"), ("'udpate'", "did you mean update", "signal")),  # type: ignore[arg-type]
        (orders.approve("words", via="mail"), ("'mail'", "signal", "update")),  # type: ignore[arg-type]
        (orders.reject("words", via=None), ("None", "signal", "update")),  # type: ignore[arg-type]
        (orders.change_address("words", ELSEWHERE, via="Signal"), ("did you mean signal",)),  # type: ignore[arg-type]
        (orders.wait("words", until="shiped"), ("did you mean shipped", *OrderState, *Step)),
        (orders.start("w", review="humn"), ("review", "auto", "human", "none")),
        (orders.start("w", policy="brave"), ("policy", *PolicyName)),
        (orders.start("w", faults="orignal"), ("calm", "workshop", "original", "storm")),
        (orders.start("w", faults="charge=eror"), ("error", "hang", "decline", "crash_after")),
        (orders.start("w", faults="chrge=error"), ("charge", "dispatch", "refund")),
        (hire(lab, "orders-tq"), ("order-tq", "shipping-tq")),
    ]
    for call, words in calls:
        with pytest.raises(OrderkitError) as refused:
            await call
        assert names_all(refused.value, words), refused.value
    messages = await lab.orders.history("words")
    assert "WORKFLOW_EXECUTION_SIGNALED" not in messages["type"].tolist()
    await orders.cancel("words", via="update")


async def test_wrong_type_is_refused_in_a_sentence(lab: Lab) -> None:
    orders: Any = lab.orders
    await orders.start("types", review="human", deadline=60)
    forgotten = orders.status("types")
    calls: list[tuple[Any, str]] = [
        (orders.change_address("types", "2 Side Street"), "write it as street, city, state, zip"),
        (orders.change_address("types", 5), "use an Address, or one line"),
        (orders.change_address("types", {"street": "2 Side Street"}), "new_address.city: Field required"),
        (orders.change_address("types", replace(DEFAULT_ADDRESS, zip="?")), "new_address.zip: use 2 to 12"),
        (orders.start("t", address="here"), "write it as street, city, state, zip"),
        (orders.start("t", items="TEA-POT"), r"list of \(sku, quantity, price\)"),
        (orders.start("t", items=[("TEA-POT", 1)]), r"list of \(sku, quantity, price\)"),
        (orders.start("t", seed="three"), "faults.seed: .*integer"),
        (orders.start("t", deadline="soon"), "deadline: .*number"),
        (orders.start("t", payment_id=7), "payment_id: .*string"),
        (orders.start(7), "use its name, .*not an int"),
        (orders.start("two words"), "order_id: use 1 to 64 letters"),
        (orders.status(["types"]), "use its name, .*not a list"),
        (orders.status(forgotten), "put await before"),
        (orders.wait("types", "long"), "within_seconds: use a number of seconds"),
        (orders.cancel("types", by=""), "cancelled_by"),
        (orders.approve("types", note=5, via="update"), "note"),
    ]
    for call, told in calls:
        with pytest.raises(InvalidOrder, match=told) as refused:
            await call
        assert "\n" not in str(refused.value)
    forgotten.close()
    with pytest.raises(InvalidFaultPlan, match="write the faults as text"):
        await orders.start("t", faults=["error"])
    with pytest.raises(LabError, match=r"0 to .* workers, not '2'"):
        await lab.workers.start("2")  # type: ignore[arg-type]
    await orders.cancel("types", via="update")


async def test_numbers_of_numpy_and_addresses_on_one_line_work(lab: Lab) -> None:
    await lab.orders.start(
        "numpy",
        review="none",
        faults="workshop",
        seed=np.int64(3),  # type: ignore[arg-type]
        deadline=np.float32(30),  # type: ignore[arg-type]
        items=[("TEA-CUP", np.int64(2), np.float64(6.5))],  # type: ignore[list-item]
        address="2 Side Street, Shelbyville, IL, 62565",
    )
    assert (await lab.orders.wait("numpy", np.int64(30))).outcome == "shipped"  # type: ignore[arg-type]
    await lab.orders.start("moved", review="human")
    await lab.orders.wait("moved", until="in_review")
    assert await lab.orders.change_address("moved", "2 Side Street, Shelbyville, IL, 62565", via="update")
    await lab.orders.cancel("moved", via="update")


async def test_lab_is_found_by_a_folder_as_text(stack: Stack) -> None:
    lab = await Lab.start(str(stack.home))
    assert "worker-0" in repr(lab)
    await lab.close()


async def test_cell_with_a_payment_id_can_be_run_again(lab: Lab, stack: Stack) -> None:
    for _ in range(2):
        await lab.orders.start("paid", review="none", payment_id="pay-7")
        assert (await lab.orders.wait("paid")).outcome == "shipped"
    ledger = await lab.orders.ledger("paid", full=True)
    assert ledger[ledger["kind"] == "charge"]["key"].tolist() == ["pay-7-2"]
    again = await lab.orders.start("paid", review="none", payment_id="pay-7", fresh=False)
    assert again.id == "paid-2"
    async with notebook(stack) as another:
        order = await another.orders.start("paid", review="none", payment_id="pay-7")
        assert (order.id, (await another.orders.wait("paid")).outcome) == ("paid-3", "shipped")


async def test_numbered_order_has_the_faults_of_its_plain_name_whatever_number_the_seed_is(lab: Lab) -> None:
    tried = []
    for seed in (3, np.int64(3), 3.0):
        await lab.orders.start("seeded", review="none", faults="workshop", seed=seed, deadline=60)  # type: ignore[arg-type]
        await lab.orders.wait("seeded")
        tried.append((await lab.orders.attempts("seeded"))["outcome"].tolist())
    assert tried[0] == tried[1] == tried[2]
    assert parse_plan("workshop", 3).seed == 3


async def test_attempt_of_an_event_is_a_number(lab: Lab) -> None:
    await lab.orders.start("counted", review="none", faults="charge=error,ok")
    await lab.orders.wait("counted")
    for frame in (await lab.orders.events("counted"), await lab.orders.timeline("counted")):
        assert frame["attempt"].max() == 2
        assert "<NA>" not in repr(frame) + frame._repr_html_()  # type: ignore[operator]


async def test_a_hundred_and_more_waits_in_one_cell(lab: Lab) -> None:
    orders = [await lab.orders.start(f"many-{number}", review="human", deadline=60) for number in range(8)]
    waits = asyncio.gather(*(lab.orders.wait(orders[number % 8], 60) for number in range(120)))
    for order in orders:
        await lab.orders.wait(order, until="in_review")
        await lab.orders.approve(order, via="update")
    assert {order.outcome for order in await waits} == {"shipped"}


async def test_one_lab_works_in_several_event_loops_and_after_it_was_closed(lab: Lab) -> None:
    await lab.orders.start("loops", review="none")
    await lab.orders.wait("loops")

    async def look() -> tuple[str, int, str]:
        order = await lab.orders.status("loops")
        return order.state, len(await lab.orders.events("loops")), repr(await lab.audit("loops"))

    here = await look()
    assert here[0] == "shipped"
    for _ in range(2):
        assert await asyncio.to_thread(lambda: asyncio.run(look())) == here
    await lab.close()
    assert await look() == here


async def test_check_of_a_new_kernel_finds_the_order_of_the_kernel_before(lab: Lab, stack: Stack) -> None:
    await lab.orders.start("solved", review="none", faults="charge=error,error,ok")
    await lab.orders.wait("solved")
    assert await lesson_00.two_failed_charges(lab, "solved")
    async with notebook(stack) as restarted:
        assert await lesson_00.two_failed_charges(restarted, "solved")
        assert "✔ order solved is shipped" in repr(await lesson_02.moved_before_approval(restarted, "solved"))
        told = repr(await lesson_04.tortoise_and_hare(restarted, "solved", "unheard-of"))
        assert "✖ no order unheard-of was started in this notebook" in told


async def test_check_of_an_empty_cell_does_not_take_an_order_of_another_day(lab: Lab, stack: Stack) -> None:
    await lab.orders.start("old", review="none", faults="charge=error,error,ok")
    await lab.orders.wait("old")
    async with notebook(stack) as another_day:
        await another_day.orders.start("of-round-1", review="none")
        told = repr(await lesson_00.two_failed_charges(another_day, "old"))
    assert "✖ no order old was started in this notebook" in told


async def test_check_says_what_is_wrong_and_what_would_be_right(lab: Lab) -> None:
    await lab.orders.start("plain", review="none", faults="charge=error,ok")
    await lab.orders.wait("plain")
    told = repr(await lesson_00.two_failed_charges(lab, "plain"))
    assert "✖ charge had 2 attempts, and 1 failed; it should fail twice, then succeed" in told
    assert "✖ Temporal's history says that attempt 2 of charge was its last; it should be attempt 3" in told


async def test_name_is_found_among_more_orders_than_one_page_lists(lab: Lab) -> None:
    pool = await lab.open_pool()
    order = await lab.orders.start("crowd", review="none")
    await lab.orders.wait(order)
    await pool.execute(
        "INSERT INTO trellis_orders (SELECT (jsonb_populate_record(o, jsonb_build_object("
        "'id', 'crowd.' || n, 'payment_id', 'pay-crowd.' || n, 'workflow_id', 'order-crowd.' || n,"
        " 'created_at', now() + interval '1 second'))).* FROM trellis_orders AS o, generate_series(1, 600) AS n"
        " WHERE o.id = 'crowd')"
    )
    lab.orders._ids.clear()
    assert (await lab.orders.find("crowd")).id == order.id
    with pytest.raises(OrderNotFound):
        await lab.orders.find("crow")
