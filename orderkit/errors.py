"""Every error orderkit raises on purpose.

The first docstring line is the message; data are attributes. Class names are API: Temporal's retry
policies and recorded histories match on them.

OrderkitError
├── SettingsError              a setting is missing or wrong
├── LabError                   the local stack cannot do what was asked
│   ├── WaitExpired            a wait reached its limit; says why
│   ├── CellRefused            a cell with workflow code has mistakes; says in which lines
│   ├── RunEnded               the run has ended, so it takes no signal
│   └── BoardRefused           a class's board said no, and would say it again
├── DependencyUnavailable      PostgreSQL, Temporal or the API is away
│   └── UnsupportedDatabase    PostgreSQL is too old, or a newer orderkit changed its schema
├── DeploymentRefused          this change of a deployment is not possible now
├── LessonNotFound             no lesson, or no round of it, is called so
├── InvalidOrder               bad input; never retried
├── InvalidFaultPlan           an unknown scenario, step or fault
├── OrderNotFound              no order has this id
├── OrderConflict              another order has this id
├── OrderExists                the order exists already and belongs to another workflow; never retried
├── OrderClosed                the order has ended, so the message comes too late
├── MessageRefused             the order cannot do now what the message asks
├── StepRefused                the order's state forbids the step; never retried
├── InjectedError              a fault plan's error; retried
├── ServiceDown                a service of the outside world does not answer; retried
├── Declined                   the payment provider or the carrier said no; never retried
└── KeyRefused                 a voided or foreign idempotency key; never retried
"""

from __future__ import annotations

from dataclasses import dataclass


class OrderkitError(Exception):
    """The root of orderkit's own errors."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or type(self).__name__).splitlines()[0])

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: only the message, without the traceback through our code."""
        return [f"{type(self).__name__}: {self}"]


class SettingsError(OrderkitError):
    """A setting is missing or wrong."""


class LabError(OrderkitError):
    """The local stack cannot do what was asked."""


class WaitExpired(LabError):
    """A wait reached its limit."""

    def __init__(self, what: str, evidence: list[str]) -> None:
        super().__init__(what + "".join(f"\n- {line}" for line in evidence))
        self.evidence = evidence


class CellRefused(LabError):
    """A cell with workflow code has mistakes."""

    def __init__(self, told: str, lines: list[int]) -> None:
        super().__init__(told)
        self.lines = lines


class RunEnded(LabError):
    """The run has ended, so it takes no signal."""


class BoardRefused(LabError):
    """A class's board said no."""


class DependencyUnavailable(OrderkitError):
    """A server that orderkit needs is away."""

    def __init__(self, dependency: str, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.dependency = dependency
        self.reason = message
        self.remedy = remedy


class UnsupportedDatabase(DependencyUnavailable):
    """PostgreSQL is too old, or a newer orderkit changed its schema."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__("postgresql", f"{what}: {remedy}")
        self.what = what
        self.remedy = remedy


class DeploymentRefused(OrderkitError):
    """This change of a deployment is not possible now."""


class LessonNotFound(OrderkitError):
    """No lesson, or no round of it, is called so."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one field of an input."""

    field: str
    message: str


class InvalidOrder(OrderkitError):
    """The order is not valid."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.message}" for p in problems))
        self.problems = problems


class InvalidFaultPlan(OrderkitError):
    """The fault plan is not valid."""


class OrderNotFound(OrderkitError):
    """No order has this id."""


class OrderConflict(OrderkitError):
    """Another order has this id."""


class OrderExists(OrderkitError):
    """The order exists already and belongs to another workflow."""


class OrderClosed(OrderkitError):
    """The order has ended."""


class MessageRefused(OrderkitError):
    """The order cannot do now what the message asks."""


class StepRefused(OrderkitError):
    """The order's state forbids this step."""


class InjectedError(OrderkitError):
    """A fault plan made this attempt fail."""


class ServiceDown(OrderkitError):
    """A service of the outside world does not answer; the next attempt comes a second later, or later still."""


class Declined(OrderkitError):
    """The payment provider or the carrier said no."""


class KeyRefused(OrderkitError):
    """The idempotency key is voided, or belongs to another order."""


def first_line(error: BaseException) -> str:
    """An error's first line. The others may hold a customer's data: PostgreSQL and pydantic show the values."""
    line = str(error).partition("\n")[0]
    # asyncpg shows the value that does not fit.
    return line.partition(":")[0] if line.startswith("invalid input for query argument") else line


# Retrying these cannot help: Temporal fails the step at once.
NON_RETRYABLE = (InvalidOrder, StepRefused, Declined, KeyRefused, OrderConflict, OrderExists)
