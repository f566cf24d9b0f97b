"""How this kit serves HTTP: uvicorn with bounds. It knows no app."""

from __future__ import annotations

import asyncio
import errno
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from orderkit.errors import SettingsError

HEADER_SECONDS = 15.0


class Impatient(HttpToolsProtocol):
    """Ends connections on which no request arrives: uvicorn itself waits without limit for a slow client's headers."""

    _clock: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop."""
        super().connection_made(transport)
        self._clock = self.loop.call_later(HEADER_SECONDS, self._look, (True, None))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._clock.cancel()
        super().connection_lost(exc)

    def _look(self, before: tuple[bool, object]) -> None:
        """End the connection when at two looks on end it waits for the rest of the same request."""
        cycle: RequestResponseCycle | None = self.cycle
        # Between requests the keep-alive timer runs; the first byte of a next one stops it.
        waits = cycle is None or (cycle.response_complete and self.timeout_keep_alive_task is None)
        if waits and (waits, cycle) == before:
            self.transport.close()
        else:
            self._clock = self.loop.call_later(HEADER_SECONDS, self._look, (waits, cycle))


def server_config(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves the API."""
    return uvicorn.Config(
        app,
        http=Impatient,
        log_config=None,
        access_log=False,  # no order ids and no clients' addresses in the log
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket without Nagle's algorithm, which asyncio turns off only for sockets that it opened itself.

    With it the second packet of each answer waits 40 ms, until the client has acknowledged the first one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # those that it accepts inherit it
    return listener


def listen(host: str, port: int, setting: str = "ORDERKIT_API_PORT") -> socket.socket:
    """A listening socket; raises SettingsError, which says what to set."""
    try:
        return open_listener(host, port)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SettingsError(f"port {port} of {host} is taken or forbidden; set {setting}") from error
        raise SettingsError(f"cannot listen on {host} ({error.strerror}); set ORDERKIT_API_HOST") from error
