"""OpenTelemetry traces: one of each order, from the API's call through its workflows to every activity.

An extra, `pip install orderkit[otel]`. OTEL_EXPORTER_OTLP_ENDPOINT, of OpenTelemetry itself, says where spans go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from temporalio.client import Interceptor

from orderkit.errors import SettingsError
from orderkit.settings import Settings


@contextmanager
def tracing(settings: Settings, service: str) -> Iterator[Sequence[Interceptor]]:
    """For `connect_temporal`: nothing, unless ORDERKIT_TRACES asks for it. What was not sent is sent at the end.

    Raises SettingsError where the extra is not installed.
    """
    if not settings.traces:
        yield ()
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from temporalio.contrib.opentelemetry import TracingInterceptor
    except ImportError as error:
        raise SettingsError(
            f"ORDERKIT_TRACES needs OpenTelemetry ({error}): pip install 'orderkit[otel]', or unset it"
        ) from None
    provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        # A client's interceptors are its workers', too.
        yield [TracingInterceptor(provider.get_tracer("orderkit"))]
    finally:
        provider.shutdown()
