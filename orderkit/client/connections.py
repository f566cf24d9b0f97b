"""The HTTP connections of one event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx

_CALL_SECONDS = 15
_STREAM_SECONDS = 30  # without a word; the API sends one every 10 s
_QUEUE_SECONDS = 60  # how long a call waits for one of 100 connections, when hundreds are made at once
# Each stream holds a connection until its order ends, here and in the API's process.
STREAMS_AT_ONCE = 64
_AGAIN_SECONDS = 0.2
_LOOKS_A_SECOND = 40  # of all that have no stream together


@dataclass(frozen=True)
class Turn:
    """Whether a caller may hold a stream now, and after how long it should try again."""

    streams: bool
    again_seconds: float


@dataclass
class Connections:
    """Short calls and long streams apart, so that neither starves the other."""

    calls: httpx.AsyncClient
    streams: httpx.AsyncClient
    followers: int = 0

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """One more follower of an order: the first ones hold a stream."""
        streams = self.followers < STREAMS_AT_ONCE
        self.followers += 1
        without = max(0, self.followers - STREAMS_AT_ONCE)
        try:
            yield Turn(streams, max(_AGAIN_SECONDS, without / _LOOKS_A_SECOND))
        finally:
            self.followers -= 1


@asynccontextmanager
async def open_connections(
    base_url: str, key: str | None, transport: httpx.AsyncBaseTransport | None
) -> AsyncIterator[Connections]:
    """To the API; closed at the end."""

    def http(seconds: float) -> httpx.AsyncClient:
        # No proxy of the environment's: the API is on this machine, or named on purpose. Without TLS, no certificates
        # and no SSLKEYLOGFILE either: broken ones would end us for nothing.
        return httpx.AsyncClient(
            base_url=base_url,
            headers={"X-API-Key": key} if key else {},
            timeout=httpx.Timeout(seconds, pool=_QUEUE_SECONDS),
            trust_env=False,
            verify=base_url.startswith("https:"),
            transport=transport,
        )

    async with http(_CALL_SECONDS) as calls, http(_STREAM_SECONDS) as streams:
        yield Connections(calls, streams)
