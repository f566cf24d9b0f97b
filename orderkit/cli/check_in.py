"""`orderkit check-in`: what the day before a workshop asks for, and one short code for the instructor."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from orderkit import __version__
from orderkit.cli.output import Json, answer, err, out, table
from orderkit.cli.startup import interrupted_once, lab_of_its_own
from orderkit.errors import LabError, OrderkitError

if TYPE_CHECKING:
    from collections.abc import Generator

    from orderkit.doctor.machine import Check
    from orderkit.stack.stack import Stack


def check_in_command(
    read: Annotated[str, typer.Option(help="Say what a code means that somebody sent.")] = "",
    json: Json = False,
) -> None:
    """Check that this machine can run the lessons, ship a demo order, and print a short code for the instructor.

    The order runs in the folder's lab if that is up, else in a lab of its own that is gone afterwards. It takes about
    15 seconds; five minutes at worst. Exit status 1 if anything is wrong.
    """
    if read:
        _tell(read, json)
        return
    from orderkit.doctor.check_in import code_of

    checks: list[Check] = []
    with interrupted_once(), closing(_examine()) as examined:
        for check in examined:
            checks.append(check)
            if not json:
                _show(check)
    code = code_of(checks, __version__)
    fine = not code.failed
    data = {"code": str(code), "ok": fine, "version": __version__, "checks": [asdict(check) for check in checks]}
    answer(json, data, lambda: out.print(_last_line(str(code), fine), soft_wrap=True))
    if not fine:
        raise typer.Exit(1)


def _examine() -> Generator[Check, None, None]:
    """Each check as soon as it is known; those that need a lab come last."""
    from orderkit.doctor.check_in import check_jupyter, check_order, examine_machine
    from orderkit.doctor.machine import Check

    err.print("Looking at this machine …")
    yield from examine_machine()
    order: Check | None = None
    running = _running()
    lab = nullcontext(running) if running else lab_of_its_own("check-in", lambda: order is None or order.ok)
    try:
        with lab as stack:
            with err.status("Shipping a demo order …"):
                order = check_order(stack)
            yield order
            with err.status("Starting JupyterLab …"):
                jupyter = check_jupyter(stack)
            yield jupyter
    except (OrderkitError, OSError) as error:
        if order is None:
            yield Check("order", False, f"the lab does not start: {error}", "do what it says; try: orderkit up")
        yield Check("jupyter", False, "not tried: there is no lab", "")


def _running() -> Stack | None:
    from orderkit.stack.target import running_stack

    try:
        return running_stack()
    except LabError:
        return None


def _show(check: Check) -> None:
    out.print(f"{'[green]✔[/]' if check.ok else '[red]✖[/]'} [bold]{check.name}[/] ", end="")
    out.print(check.detail, markup=False, soft_wrap=True)
    if not check.ok and check.remedy:
        out.print(f"    {check.remedy}", markup=False, soft_wrap=True)


def _last_line(code: str, fine: bool) -> str:
    found = "All is well." if fine else "Something is wrong: see ✖ above."
    return f"\n{found} Send this code to your instructor: [bold]{code}[/]"


def _tell(text: str, json: bool) -> None:
    from orderkit.doctor.check_in import told_by
    from orderkit.doctor.short_code import make_code, read_code

    code = read_code(text)
    failed = told_by(code)
    version, mine = ".".join(map(str, code.version)), make_code(__version__, ()).version
    data = {"code": str(code), "ok": not failed, "version": version, "failed": [asdict(each) for each in failed]}

    def show() -> None:
        other = "" if code.version == mine else f", and you have {__version__}"
        out.print(f"{code}: orderkit {version}{other}; {f'{len(failed)} wrong' if failed else 'all is well'}")
        if failed:
            rows = [(each.name, each.wrong, each.remedy) for each in failed]
            out.print(table(("check", "what is wrong", "what to do"), rows))

    answer(json, data, show)
