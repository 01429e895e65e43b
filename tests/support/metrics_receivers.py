"""Receivers for Airflow's metrics: a StatsD server, and a collector of OpenTelemetry by OTLP/HTTP, both on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class StatsDServer:
    """Keeps the lines received, such as ``airflow.make.pull.rows:30.0|g``. Used in ``with``."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive)

    def __enter__(self) -> StatsDServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which Airflow sends to this server."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
        }

    def gauges(self) -> dict[str, float]:
        """Return the last value of each gauge of this provider, by the name without ``airflow.``."""
        of_make = [line for line in list(self.lines) if line.startswith("airflow.make.") and line.endswith("|g")]
        lines = [line.rsplit(":", 1) for line in of_make]
        return {name.removeprefix("airflow."): float(value.removesuffix("|g")) for name, value in lines}

    def _receive(self) -> None:
        while datagram := self._socket.recv(65_536):
            self.lines += datagram.decode().split("\n")


class Collector:
    """Keeps the values of gauges, by name and attributes, and the spans, by name."""

    def __init__(self, port: int) -> None:
        self.gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.spans: dict[str, dict[str, object]] = {}
        self.environment = {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__METRICS__OTEL_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__OTEL_PORT": str(port),
        }

    def receive(self, path: str, body: bytes) -> None:
        """Receive a request of an exporter."""
        if path.endswith("/metrics"):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                    for point in metric.gauge.data_points:
                        attributes = tuple(sorted((pair.key, pair.value.string_value) for pair in point.attributes))
                        self.gauges[metric.name.removeprefix("airflow."), attributes] = point.as_double
        else:
            for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                for span in (span for scope in traced.scope_spans for span in scope.spans):
                    values = {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes}
                    self.spans[span.name] = values


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.receive(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Collector(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()
