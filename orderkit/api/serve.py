"""The API as a process."""

from __future__ import annotations

import logging
from functools import partial

import uvicorn

from orderkit.api.app import create_app
from orderkit.api.http import listen, server_config
from orderkit.logs import log_json
from orderkit.settings import Settings
from orderkit.temporal.client import TemporalSettings, connect_temporal
from orderkit.temporal.traces import tracing

logger = logging.getLogger(__name__)


def run_api(settings: Settings, temporal: TemporalSettings) -> None:
    """Serve until SIGTERM or SIGINT, on uvloop where there is one. Raises SettingsError when the port is taken."""
    log_json(settings.log_level)
    with tracing(settings, "orderkit-api") as spans, listen(settings.api_host, settings.api_port) as listener:
        config = server_config(create_app(settings, partial(connect_temporal, temporal, interceptors=spans)))
        host, port = listener.getsockname()[:2]
        logger.info("API ready", extra={"host": host, "port": port})
        uvicorn.Server(config).run(sockets=[listener])
