"""The outside world's switches: how the payment provider and the carrier answer, for all orders at once."""

from enum import StrEnum

SLOW_SECONDS = 1.0  # how late a slow service answers
AGAIN_SECONDS = 1.0  # from a call to a service that is down until the next one: sooner would only be more work


class Service(StrEnum):
    """Who is outside."""

    PAYMENTS = "payments"  #: the payment provider
    CARRIER = "carrier"  #: the carrier


class ServiceState(StrEnum):
    """How it answers."""

    UP = "up"  #: at once
    SLOW = "slow"  #: a second late; what was asked for is done before
    DOWN = "down"  #: it refuses the connection, and nothing is done
    DECLINING = "declining"  #: it refuses what is new; what it gave back or repeats, it still does


TITLES = {Service.PAYMENTS: "the payment provider", Service.CARRIER: "the carrier"}
