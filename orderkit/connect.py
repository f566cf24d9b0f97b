"""How every process reaches Temporal: by Temporal's own environment and TOML configuration, and through the codec."""

from __future__ import annotations

import dataclasses
import functools
import logging
from datetime import timedelta

from temporalio.client import Client
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import GrpcCompression, RetryConfig, RPCError

from orderkit.codec import Codec
from orderkit.errors import DependencyUnavailable
from orderkit.settings import Settings

# Workflow tasks of orders: a task whose worker died is handed to another one after this long.
TASK_TIMEOUT = timedelta(seconds=2)


@functools.cache
def _runtime() -> Runtime:
    """The SDK's core logs through Python's logging, not to stdout; at ERROR, since below it prints payloads.

    Workers tell the server every second that they live: that is how the API's health knows.
    """
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    telemetry = TelemetryConfig(logging=LoggingConfig(TelemetryFilter("ERROR", "ERROR"), forwarding))
    return Runtime(telemetry=telemetry, worker_heartbeat_interval=timedelta(seconds=1))


def data_converter(settings: Settings) -> DataConverter:
    """With a codec key: payloads and the messages of failures are encrypted. Without: plain, and errors that say so."""
    keys = settings.codec_keys()
    converter = dataclasses.replace(DataConverter.default, payload_codec=Codec(keys))
    if not keys:
        return converter
    return dataclasses.replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


async def connect_temporal(settings: Settings | None = None) -> Client:
    """A client for `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE` and the rest; raises DependencyUnavailable.

    The codec's key comes from the settings; without them from the environment, so that nobody forgets it.
    """
    converter = data_converter(settings or Settings())
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    try:
        return await Client.connect(
            **config,
            data_converter=converter,
            runtime=_runtime(),
            grpc_compression=GrpcCompression.NONE,
            retry_config=RetryConfig(max_elapsed_time_millis=2_000),
        )
    except (RuntimeError, RPCError) as error:
        raise DependencyUnavailable(
            "temporal", f"Temporal does not answer at {config['target_host']}; is the stack up? Try: orderkit up"
        ) from error
