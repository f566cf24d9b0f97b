"""What people write on the command line, and what they are told when it is wrong."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import typer.main

from orderkit.cli import app, run
from orderkit.cli.inputs import start_body
from orderkit.core.faults import Scenario
from orderkit.errors import InvalidOrder

# They run on and log, or write one bare value for a file; there is no answer to put into JSON.
NO_ANSWER = {
    ("lab",),
    ("class", "open"),
    ("stage",),
    ("worker",),
    ("api",),
    ("codec", "serve"),
    ("codec", "new-key"),
    ("db", "archive"),
}


def test_options_become_the_start_body() -> None:
    body = start_body(
        faults="workshop; charge=error,ok",
        seed=7,
        policy="budget",
        items=["TEA-POT, 2, 24.90"],
        address="1 Main Street, Springfield, IL, 62701",
    )
    assert body.faults.scenario is Scenario.WORKSHOP
    assert (body.faults.seed, body.faults.script) == (7, {"charge": ["error", "ok"]})
    assert (body.items[0].sku, body.items[0].qty, str(body.items[0].unit_price)) == ("TEA-POT", 2, "24.90")
    assert body.initial_address.zip == "62701"


def test_no_options_are_the_apis_defaults() -> None:
    assert start_body() == type(start_body())()


def test_every_problem_is_named_and_no_pattern_is_shown() -> None:
    with pytest.raises(InvalidOrder) as caught:
        start_body(items=["TEA,0,5", "TEA,1,-5"], address=", , ,?")
    fields = {problem.field for problem in caught.value.problems}
    assert {"items[0].qty", "items[1].unit_price", "initial_address.street", "initial_address.zip"} <= fields
    assert "^" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("x", "--item", ""), "sku,quantity,price"),
        (("x", "--item", "TEA,0,5"), "items[0].qty: "),
        (("x", "--item", "TEA,1,-5"), "items[0].unit_price: "),
        (("x", "--item", "TEA,1,1e99"), "items[0].unit_price: "),
        (("x", "--item", "TEA,1,nan"), "items[0].unit_price: "),
        (("x", "--address", ""), "street, city, state, zip"),
        (("x", "--address", "nowhere"), "street, city, state, zip"),
        (("x", "--address", ",,,"), "initial_address.street: "),
        (("x", "--address", f"{'x' * 1000},a,b,12345"), "initial_address.street: "),
        (("x", *("--item", f"{'x' * 100_000},1,1") * 10), "items[0].sku: "),
        (("x", *("--item", "TEA,1,1") * 10_000), "items: "),
        (("a/b",), "order_id: use 1 to 64 letters"),
        (("..",), "order_id: "),
        (("",), "order_id: "),
        (("x", "--policy", "hope"), "policy: "),
        (("x", "--faults", "tornado"), "unknown scenario 'tornado'; use one of: calm, workshop"),
        (("x", "--faults", "charge=explode"), "unknown fault 'explode'; use one of: ok, error"),
        (("x", "--faults", "[red]"), "unknown scenario '[red]'"),
        (("x", "--deadline", "0"), "deadline: "),
        (("x", "--payment-id", "a/b"), "payment_id: use 1 to 64 letters"),
    ],
)
def test_bad_orders_are_refused_before_the_api_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.setenv("ORDERKIT_API_PORT", "1")  # whoever asks there is told that nobody answers
    monkeypatch.setattr(sys, "argv", ["orderkit", "order", "start", *arguments])
    with pytest.raises(SystemExit) as caught:
        run()
    said = capsys.readouterr()
    assert caught.value.code == 1
    assert said.out == ""
    assert said.err.startswith(("error: InvalidOrder: ", "error: InvalidFaultPlan: "))
    assert told in said.err
    assert said.err.count("\n") == 1 and len(said.err) < 1000


def commands(group: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command by its path."""
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        found |= commands(command, (*path, name)) if hasattr(command, "commands") else {(*path, name): command}
    return found


def test_every_command_that_answers_takes_json_and_says_what_it_is_for() -> None:
    for path, command in commands(typer.main.get_command(app)).items():
        options = {name for parameter in command.params for name in parameter.opts}
        assert ("--json" in options) == (path not in NO_ANSWER), path
        assert command.help, path
