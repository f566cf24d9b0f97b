"""The console's widgets, driven without a browser, on real PostgreSQL and Temporal: what is shown comes by push.

One file, though long: its tests share one console.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from support.api import Gate
from support.shop import Shop, until
from temporalio.client import Client

from orderkit.api.app import create_app
from orderkit.benchmarks.console import measure
from orderkit.client import OrderkitClient
from orderkit.console import Console, open_console
from orderkit.contract import StartOrder
from orderkit.core.orders import OrderId, OrderState, Review
from orderkit.errors import LabError
from orderkit.settings import Settings
from orderkit.stack.controls import WorkerControl
from orderkit.stack.stack import Stack


class PretendedWorkers(WorkerControl):
    """Worker processes as the kill switch knows them."""

    def __init__(self) -> None:
        self.running = 1
        self.asked: list[str] = []
        self.beside: list[str] = []

    @property
    def count(self) -> int:
        return self.running

    @property
    def extra(self) -> list[str]:
        return self.beside

    async def kill(self, *, wait: bool = True) -> None:
        self.asked.append("kill")

    async def stop(self) -> None:
        self.asked.append("stop")
        self.running = 0

    async def start(self, count: int = 1) -> None:
        if not self.asked:
            raise LabError("these servers are not this lab's")
        self.running = count


@pytest_asyncio.fixture(scope="session")
async def api(servers: Stack, client: Client, shop: Shop) -> AsyncIterator[OrderkitClient]:
    async def connect() -> Client:
        return client

    app = create_app(Settings(database_url=SecretStr(servers.database_url)), connect)
    async with app.router.lifespan_context(app), OrderkitClient(transport=httpx.ASGITransport(app)) as api:
        yield api


@pytest.fixture
def workers() -> PretendedWorkers:
    return PretendedWorkers()


@pytest_asyncio.fixture
async def console(servers: Stack, api: OrderkitClient, workers: PretendedWorkers) -> AsyncIterator[Console]:
    console = await open_console(api, servers.database_url, workers).ready()
    assert console.state.trouble is None
    yield console
    await console.aclose()


async def shows(what: str, condition: Callable[[], bool]) -> None:
    async def met() -> bool:
        return condition()

    await until(met, what)


def fill(console: Console, order_id: str, review: str = "none", script: str = "", scenario: str = "calm") -> None:
    form = console.view.form
    form.order_id.value, form.review.value = order_id, review
    form.script.value, form.scenario.value = script, scenario


async def started(console: Console, order_id: str, **fields: str) -> None:
    fill(console, order_id, **fields)
    console.view.form.start_one.click()
    await shows(f"{order_id} in the list", lambda: console.view.list.html_of(order_id) != "")


async def test_an_order_started_from_the_form_reaches_shipped_by_push(console: Console, order_id: OrderId) -> None:
    await started(console, order_id, script="charge=error,ok")
    assert console.state.selected == order_id
    view = console.view
    await shows("shipped in the list", lambda: "shipped" in view.list.html_of(order_id))
    await shows("charged once", lambda: "✔ charged once" in view.panel.title.value)
    assert "charge: 2 attempts, the last one completed" in view.list.html_of(order_id)
    assert "charge ×2" in view.panel.timeline.value
    await shows("the last event", lambda: "order shipped" in view.panel.events.value)
    assert "InjectedError" in view.panel.events.value
    assert all(button.disabled for button in view.panel.buttons.values())
    assert f"{order_id} started" in view.message.value


async def test_approve_and_change_of_address_are_answered_in_the_panel(console: Console, order_id: OrderId) -> None:
    await started(console, order_id, review="human")
    panel = console.view.panel
    await shows("the address", lambda: panel.address["street"].value == "1 Main Street")
    await shows("in review", lambda: "waits for a yes or a no" in panel.title.value)
    panel.who.value, panel.address["street"].value = "ada", "2 Side <b>Street</b>"
    panel.buttons["address"].click()
    assert panel.buttons["address"].disabled
    assert "address is sent" in console.view.message.value
    await shows("the new address", lambda: "2 Side &lt;b&gt;Street&lt;/b&gt;" in panel.title.value)
    await shows("an answer", lambda: "okc-message okc-good" in console.view.message.value)
    panel.why.value = "looks fine"
    panel.buttons["approve"].click()
    await shows("shipped", lambda: console.state.orders[order_id].state == "shipped")
    assert "looks fine" in panel.events.value


async def test_cancel_by_signal_leaves_nothing_kept(console: Console, order_id: OrderId) -> None:
    await started(console, order_id, review="human")
    panel = console.view.panel
    await shows("in review", lambda: console.state.orders[order_id].state == OrderState.IN_REVIEW)
    panel.via.value, panel.who.value, panel.why.value = "signal", "ada", "changed my mind"
    panel.buttons["cancel"].click()
    await shows("nothing kept", lambda: "✔ nothing kept" in panel.title.value)
    assert "signal sent: cancel" in console.view.message.value
    assert "why: changed my mind (ada)" in panel.title.value


async def test_what_was_refused_or_wrong_is_a_line_in_the_panel(console: Console, order_id: OrderId) -> None:
    view = console.view
    fill(console, order_id, script="charge=explode")
    view.form.start_one.click()
    assert "unknown fault" in view.message.value
    fill(console, order_id, review="human")
    view.form.start_one.click()
    assert view.form.start_one.disabled
    await shows("the start", lambda: not view.form.start_one.disabled)
    fill(console, order_id, review="none")
    view.form.start_one.click()
    await shows("a conflict", lambda: "okc-bad" in view.message.value and "another order" in view.message.value.lower())
    view.panel.who.value = " "
    view.panel.buttons["approve"].click()
    await shows("who", lambda: "say who you are" in view.message.value)
    view.panel.who.value = "ada"
    view.panel.buttons["reject"].click()
    await shows("the end", lambda: console.state.orders[order_id].state == "cancelled")


async def test_orders_of_others_show_too_and_can_be_selected(console: Console, shop: Shop, order_id: OrderId) -> None:
    await shop.end(await shop.start(order_id))
    await shows("the order", lambda: "shipped" in console.view.list.html_of(order_id))
    console.view.list.click(order_id)
    assert order_id in console.view.panel.title.value
    assert order_id in console.table()["order"].tolist()


async def test_a_click_on_another_thread_acts_on_the_consoles_loop(console: Console, order_id: OrderId) -> None:
    fill(console, order_id)
    thread = threading.Thread(target=console.view.form.start_one.click)  # as JupyterLab's subshells do
    thread.start()
    await shows("the order", lambda: console.view.list.html_of(order_id) != "")
    thread.join()


async def test_many_orders_start_at_once_and_the_ledger_adds_up(console: Console, order_id: OrderId) -> None:
    fill(console, f"{order_id}-1")
    console.view.form.start_many.click()
    names = [f"{order_id}-{number}" for number in range(1, 21)]
    await shows("20 orders", lambda: set(names) <= set(console.state.orders))
    await shows("20 shipped", lambda: all(console.state.orders[name].state == "shipped" for name in names))
    assert console.view.form.order_id.value == f"{order_id}-21"
    balance = console.state.balance
    assert balance.kept_cents == sum(order.kept_cents for order in console.state.orders.values())
    assert not [name for name in names if not console.state.orders[name].money_is_right]


async def test_the_console_lives_through_the_death_of_postgresql(
    console: Console, servers: Stack, shop: Shop, order_id: OrderId
) -> None:
    handle = await shop.start(order_id, review=Review.HUMAN, deadline_seconds=5)
    await shows("the order", lambda: order_id in console.state.orders)
    killed = servers.kill("postgres")
    await shows("the trouble", lambda: "PostgreSQL is away" in console.view.head.value)
    await asyncio.to_thread(servers.wait_running, "postgres", other_than=killed)
    await shows("live again", lambda: "live" in console.view.head.value)
    await shop.end(handle)
    await shows("what came after", lambda: console.state.orders[order_id].closed)


async def test_what_happened_while_it_could_not_listen_is_caught_up(
    servers: Stack, shop: Shop, api: OrderkitClient, order_id: OrderId
) -> None:
    database = urlsplit(servers.database_url)
    async with Gate((database.hostname or "", database.port or 0)) as gate:
        through_the_gate = servers.database_url.replace(f":{database.port}/", f":{gate.port}/")
        console = await open_console(api, through_the_gate).ready()
        other = await open_console(api, servers.database_url).ready()
        try:
            handle = await shop.start(order_id, review=Review.HUMAN)
            await shows("in review", lambda: console.view.list.html_of(order_id).count("wait") > 0)
            await gate.shut()
            await shows("the trouble", lambda: console.state.trouble is not None)
            await api.cancel(order_id, "ada")
            await shop.end(handle)
            await shows("the end, elsewhere", lambda: "step_ended close" in names(other, order_id))
            assert not console.state.orders[order_id].closed
            await gate.open()
            await shows("the same here", lambda: names(console, order_id) == names(other, order_id))
            assert "cancelled" in console.view.list.html_of(order_id)
        finally:
            await console.aclose()
            await other.aclose()


def names(console: Console, order_id: str) -> list[str]:
    order = console.state.orders.get(order_id)
    return [f"{event.type} {event.step or ''}".strip() for event in order.history] if order else []


async def test_sums_and_list_say_which_orders_they_cover(
    servers: Stack, api: OrderkitClient, order_id: OrderId, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await api.start(f"{order_id}.{number}", StartOrder(review=Review.NONE))
        await api.wait(f"{order_id}.{number}", 30)
    total = (await api.list()).total
    assert total is not None and total >= 3
    monkeypatch.setattr("orderkit.console.feed._RECENT_ORDERS", 2)
    console = await open_console(api, servers.database_url).ready()
    try:
        covered = f"the newest 2 of {total:,} orders"
        assert console.state.covered == covered
        assert covered in console.view.head.value
        assert f"2 of {total:,} orders are listed" in console.view.list.foot.value
        assert covered in console._repr_mimebundle_()["text/html"]
        await api.start(f"{order_id}.new", StartOrder(review=Review.NONE))
        covers = f"the newest 3 of {total + 1:,} orders"
        await shows("a new order counted once", lambda: covers in console.view.head.value)
    finally:
        await console.aclose()


async def test_workers_beside_the_labs_own_are_named(console: Console, workers: PretendedWorkers) -> None:
    workers.running, workers.beside = 0, ["extra-order-tq"]
    await shows("the worker", lambda: "0 workers and extra-order-tq" in console.view.workers.value)
    workers.beside = []
    await shows("none", lambda: "no worker" in console.view.workers.value)


async def test_the_levers_stop_and_start_workers(console: Console, workers: PretendedWorkers) -> None:
    view = console.view
    await shows("a worker", lambda: "1 worker" in view.workers.value)
    view.worker_buttons["start-worker"].click()
    await shows("the refusal", lambda: "not this lab" in view.message.value)
    view.worker_buttons["kill"].click()
    assert view.worker_buttons["kill"].disabled
    await shows("the kill", lambda: "new ones poll" in view.message.value and not view.worker_buttons["kill"].disabled)
    view.worker_buttons["stop"].click()
    await shows("no worker", lambda: "no worker" in view.workers.value)
    view.worker_buttons["start-worker"].click()
    await shows("one worker", lambda: "1 worker" in view.workers.value)


async def test_front_ends_without_widgets_get_a_table(console: Console, shop: Shop, order_id: OrderId) -> None:
    await shop.end(await shop.start(order_id))
    await shows("the order", lambda: order_id in console.state.orders)
    bundle = console._repr_mimebundle_()
    assert order_id in bundle["text/html"]
    assert "console.table()" in bundle["text/plain"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == console.view.root.model_id


async def test_closing_leaves_nothing_running(servers: Stack, api: OrderkitClient) -> None:
    before = asyncio.all_tasks()
    console = await open_console(api, servers.database_url).ready()
    await console.aclose()
    # What other tests' applications do every second comes and goes.
    await shows("no task is left", lambda: asyncio.all_tasks() <= before)
    assert "closed" in console.view.head.value
    assert console.view.form.start_one.disabled


def test_without_an_event_loop_it_says_what_to_do() -> None:
    with pytest.raises(LabError, match="event loop"):
        open_console(OrderkitClient(), "postgresql://127.0.0.1:1/none")


async def test_latency_is_measured_from_commit_to_widget(
    servers: Stack, api: OrderkitClient, order_id: OrderId, record_property: Callable[[str, object], None]
) -> None:
    measured = await measure(api, servers.database_url, orders=3, prefix=order_id)
    assert measured.events > 3 * 10
    record_property("commit_to_widget", str(measured))
