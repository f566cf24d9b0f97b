"""The API as a process."""

from __future__ import annotations

import errno
import logging
import socket

import uvicorn

from orderkit.api.app import create_app
from orderkit.errors import SettingsError
from orderkit.logs import log_json
from orderkit.settings import Settings

logger = logging.getLogger(__name__)


def run_api(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, on uvloop where there is one. Raises SettingsError when the port is taken."""
    log_json(settings.log_level)
    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,  # paths hold order ids, and clients' addresses are nobody's business
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )
    with listen(settings.api_host, settings.api_port) as listener:
        host, port = listener.getsockname()[:2]
        logger.info("API ready", extra={"host": host, "port": port})
        uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int, setting: str = "ORDERKIT_API_PORT") -> socket.socket:
    """A listening socket; raises SettingsError, which says what to set."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SettingsError(f"port {port} of {host} is taken or forbidden; set {setting}") from error
        raise SettingsError(f"cannot listen on {host} ({error.strerror}); set ORDERKIT_API_HOST") from error
