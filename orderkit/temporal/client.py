"""How every process reaches Temporal: its connection settings, and a client with the payload codec."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client, Interceptor
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import GrpcCompression, RetryConfig, RPCError

from orderkit.errors import DependencyUnavailable, SettingsError
from orderkit.settings import Settings
from orderkit.temporal.codec import Codec
from orderkit.temporal.failures import ShortEncodedFailures, ShortFailures
from orderkit.temporal.inputs import InputConverter

_DEFAULT_HOST = "127.0.0.1:7233"


@dataclass(frozen=True)
class TemporalSettings:
    """Where Temporal is and how to reach it, in its SDK's words, and the keys of the payload codec."""

    connection: ClientConnectConfig = field(repr=False)  # may hold an API key
    codec_keys: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def from_environment(cls, settings: Settings, environment: Mapping[str, str] | None = None) -> TemporalSettings:
        """What `TEMPORAL_*` and Temporal's TOML profiles say; called in the composition roots only.

        `environment` in place of this process's own. Raises SettingsError.
        """
        try:
            connection = ClientConfig.load_client_connect_config(override_env_vars=environment)
        except (OSError, ValueError, RuntimeError) as error:
            raise SettingsError(f"Temporal's own settings (TEMPORAL_* or its TOML file) are wrong: {error}") from None
        connection.setdefault("target_host", _DEFAULT_HOST)
        return cls(connection, tuple(settings.codec_keys()))

    @property
    def address(self) -> str:
        """Host and port of the frontend."""
        return self.connection.get("target_host", _DEFAULT_HOST)


@functools.cache
def _runtime(metrics: str | None = None) -> Runtime:
    """The SDK's core logs through Python's logging, not to stdout; at ERROR, since below it prints payloads.

    Workers tell the server every second that they live: that is how the API's health knows. With `metrics`, an address,
    the SDK's numbers and our own are at http://metrics/metrics for Prometheus.
    """
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    logging_config = LoggingConfig(TelemetryFilter("ERROR", "ERROR"), forwarding)
    telemetry = TelemetryConfig(logging=logging_config, metrics=_prometheus(metrics) if metrics else None)
    try:
        return Runtime(telemetry=telemetry, worker_heartbeat_interval=timedelta(seconds=1))
    except (RuntimeError, ValueError) as error:
        raise SettingsError(f"ORDERKIT_WORKER_METRICS_HOST and _PORT: {metrics} cannot be used: {error}") from None


def _prometheus(address: str) -> PrometheusConfig:
    """Names and units as Prometheus recommends them: `…_total`, `…_seconds`."""
    return PrometheusConfig(
        bind_address=address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )


def data_converter(codec_keys: tuple[bytes, ...]) -> DataConverter:
    """With a codec key: payloads and the messages of failures are encrypted. Without: plain, and errors that say so."""
    converter = DataConverter(
        payload_converter_class=InputConverter,
        payload_codec=Codec(codec_keys),
        failure_converter_class=ShortFailures,
    )
    if not codec_keys:
        return converter
    return dataclasses.replace(converter, failure_converter_class=ShortEncodedFailures)


async def connect_temporal(
    temporal: TemporalSettings, metrics: str | None = None, interceptors: Sequence[Interceptor] = ()
) -> Client:
    """A client for this server, which shows its process's metrics at that address; raises DependencyUnavailable."""
    runtime = _runtime(metrics)
    try:
        return await Client.connect(
            **temporal.connection,
            data_converter=data_converter(temporal.codec_keys),
            runtime=runtime,
            interceptors=interceptors,
            grpc_compression=GrpcCompression.NONE,
            retry_config=RetryConfig(max_elapsed_time_millis=2_000),
        )
    except (RuntimeError, RPCError) as error:
        raise DependencyUnavailable(
            "temporal", f"Temporal does not answer at {temporal.address}", "is the stack up? Try: orderkit up"
        ) from error
