"""The outside world's switches: how the payment provider and the carrier answer, for all orders at once."""

from enum import StrEnum

SLOW_SECONDS = 1.0  # how late a slow service answers
DOWN_SECONDS = 0.2  # how long a caller waits for a service that is down, before it gives up


class Service(StrEnum):
    """Who is outside."""

    PAYMENTS = "payments"  #: the payment provider
    CARRIER = "carrier"  #: the carrier


class ServiceState(StrEnum):
    """How it answers."""

    UP = "up"  #: at once
    SLOW = "slow"  #: a second late; what was asked for is done before
    DOWN = "down"  #: not at all, and nothing is done
    DECLINING = "declining"  #: it refuses what is new; what it gave back or repeats, it still does


TITLES = {Service.PAYMENTS: "the payment provider", Service.CARRIER: "the carrier"}
