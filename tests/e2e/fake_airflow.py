"""A stand-in for Airflow around the page: the frame, and the part of the REST API that the page uses, on loopback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from airflow_provider_make.page.static_files import StaticFiles

Json = dict[str, Any]
NOW = datetime.now(UTC).replace(microsecond=0)
_ids = count(1)
# As on Airflow: the frame's sandbox, and a theme that is a class of the root.
FRAME = """<!DOCTYPE html><html class="{theme}">
<style>body {{ margin: 0 }} .dark body {{ background: #111a2e }}</style><body>
<script>addEventListener("popstate", () => document.title = location.pathname)</script>
<iframe src="{base}/make/" sandbox="allow-scripts allow-same-origin allow-forms"
style="border: 0; width: 100vw; height: 100vh"></iframe></body></html>"""


def iso(time: datetime) -> str:
    """Format a time as Airflow does."""
    return time.isoformat().replace("+00:00", "Z")


def asset_event(extra: Any, at: datetime, **fields: Any) -> Json:
    """Build an asset event as the API returns it."""
    event = {
        "id": next(_ids),
        "asset_id": 1,
        "uri": "make_analytics",
        "name": "make_analytics",
        "group": "asset",
        "extra": extra,
        "source_dag_id": None,
        "source_task_id": None,
        "source_run_id": None,
        "source_map_index": -1,
        "created_dagruns": [],
        "timestamp": iso(at),
    }
    return event | fields


def pull_event(
    end: datetime,
    *,
    length: timedelta = timedelta(days=1),
    organization_id: Any = 42,
    zone: Any = "eu1.make.com",
    executions: Any = 1000,
    errors: Any = 10,
    dag: str = "make_daily",
    arrived: timedelta = timedelta(minutes=5),
    extra: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Json:
    """Build the event of a pull of a time frame."""
    rate = 100 * errors / executions if isinstance(executions, int) and executions else None
    total = {
        "executions": executions,
        "operations": 7 * executions if isinstance(executions, int) else None,
        "centicredits": str(700 * executions) if isinstance(executions, int) else None,
        "errors": errors,
        "error_rate": rate,
    }
    summary = {
        "organization_id": organization_id,
        "zone": zone,
        "filters": {},
        "date_from": iso(end - length),
        "date_to": iso(end),
        "total": total,
        "row_count": 250,
        "requests": 1,
        "path": "/data/analytics.parquet",
        "format": "parquet",
        "bytes": 31000,
        "error_rate": rate,
    }
    source = {"source_dag_id": dag, "source_task_id": "pull", "source_run_id": f"scheduled__{iso(end)}"}
    return asset_event(summary | dict(extra or {}), end + arrived, **(source | fields))


def scenario_row(scenario_id: Any, name: Any, errors: Any = 30, executions: Any = 100, **fields: Any) -> Json:
    """Build a row of an alert."""
    row = {"organization_id": 42, "scenario_id": scenario_id, "name": name, "team_id": 7, "team_name": "Operations"}
    rate = 100 * errors / executions if isinstance(errors, int) else None
    return row | {"executions": executions, "errors": errors, "error_rate": rate} | fields


def alert_event(
    at: datetime,
    *,
    organization_id: Any = 42,
    zone: str = "eu1.make.com",
    scenarios: Any = (),
    payload: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Json:
    """Build the event of a watcher."""
    rows = list(scenarios)
    content = {
        "organization_id": organization_id,
        "scope": "scenario" if rows else "organization",
        "metric": "error_rate",
        "threshold": 20.0,
        "comparison": ">=",
        "value": 31.25,
        "scenarios": rows,
        "scenario_count": len(rows),
        "total": {"executions": 2000, "errors": 625, "error_rate": 31.25},
        "date_from": iso(at - timedelta(hours=1)),
        "date_to": iso(at),
        "checked_at": iso(at),
        "message": f"Make organization {organization_id}: error rate\n2026-01-01 00:00 to 01:00 UTC ({zone})",
        "beyond_count": len(rows),
        "status": "success",
        "version": 1,
    }
    extra = {"from_trigger": True, "payload": content | dict(payload or {})}
    name = {"asset_id": 2, "name": "make_scenarios_failing", "uri": "make_scenarios_failing"}
    return asset_event(extra, at, **(name | fields))


def days(number: int, until: datetime | None = None, **options: Any) -> Iterator[Json]:
    """Build the events of daily pulls, the last of which ended at midnight."""
    midnight = until or NOW.replace(hour=0, minute=0, second=0)
    for index in range(number):
        yield pull_event(midnight - timedelta(days=number - 1 - index), **options)


class FakeAirflow:
    """
    The server. Used in ``with``; a test changes its attributes, also while it runs.

    :param base: The base path.
    """

    def __init__(self, base: str = "") -> None:
        self.base = base
        self.theme = "light"
        # False as on Airflow 3.1, which does not know which assets have watchers.
        self.knows_watchers = True
        self.events: list[Json] = []
        self.assets: list[Json] = []
        self.tasks: list[Json] = []
        # Status and detail instead of an answer, by the path of the API.
        self.refusals: dict[str, tuple[int, Any]] = {}
        self.requests: list[str] = []
        # Expected as a Bearer token, as on Airflow 3.1.0.
        self.token: str | None = None
        self._app = StaticFiles()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}{base}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, *events: Json) -> None:
        """Add events, with the assets and tasks that they are from."""
        self.events += events
        for event in events:
            pulled, asset_id = event["source_dag_id"] is not None, event["asset_id"]
            if not any(asset["id"] == asset_id for asset in self.assets):
                self.assets.append(self.asset(event, pulled))
            task = {"dag_id": event["source_dag_id"], "task_id": event["source_task_id"], "state": "success"}
            if pulled and task not in self.tasks:
                self.tasks.append(task)

    def asset(self, event: Json, pulled: bool) -> Json:
        """Build the asset of an event, as the list of assets has it."""
        producer = {"dag_id": event["source_dag_id"], "task_id": event["source_task_id"]}
        return {
            "id": event["asset_id"],
            "name": event["name"],
            "uri": event["uri"],
            "extra": {},
            "scheduled_dags": [] if pulled else [{"dag_id": "alert"}],
            "producing_tasks": [producer] if pulled else [],
            "last_asset_event": {"id": event["id"], "timestamp": event["timestamp"]},
            **({"watchers": [] if pulled else [{"name": "w"}]} if self.knows_watchers else {}),
        }

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        """Answer a request to the API, with 100 entries at most, and without a word about unknown parameters."""
        if path in self.refusals:
            status, detail = self.refusals[path]
            return status, {"detail": detail}
        if path == "assets/events":
            names = ("asset_id", "source_dag_id", "source_task_id")
            # Of a repeated parameter, the last counts.
            wanted = {name: query[name][-1] for name in names if name in query}
            found = [event for event in self.events if all(str(event[name]) == wanted[name] for name in wanted)]
            if since := query.get("timestamp_gte"):
                found = [event for event in found if event["timestamp"] >= since[-1][:19]]
            found.sort(key=lambda event: str(event["timestamp"]), reverse=query.get("order_by") == ["-timestamp"])
            return 200, self._page("asset_events", found, query)
        if path == "assets":
            return 200, self._page("assets", self.assets, query)
        if path == "dags/~/dagRuns/~/taskInstances":
            return 200, self._page("task_instances", self.tasks, query)
        return 404, {"detail": "Not Found"}

    @staticmethod
    def _page(key: str, entries: list[Json], query: Mapping[str, list[str]]) -> Json:
        offset, limit = (int(query.get(name, [default])[-1]) for name, default in (("offset", "0"), ("limit", "50")))
        return {key: entries[offset : offset + min(limit, 100)], "total_entries": len(entries)}

    def _static(self, handler: BaseHTTPRequestHandler, path: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        headers = [(name.lower().encode(), value.encode()) for name, value in handler.headers.items()]
        scope = {"type": "http", "method": handler.command, "path": path, "headers": headers}
        sent: list[Json] = []

        async def send(message: Json) -> None:
            sent.append(message)

        async def receive() -> Json:
            return {}

        asyncio.run(self._app(scope, receive, send))
        return sent[0]["status"], sent[0]["headers"], sent[1]["body"]

    def _handler(fake) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                path = url.path.removeprefix(fake.base)
                fake.requests.append(self.path)
                if path.startswith("/make/"):
                    return self.reply(*fake._static(self, url.path))
                if path.startswith("/api/v2/"):
                    status, content = fake.answer(path.removeprefix("/api/v2/"), parse_qs(url.query))
                    if fake.token and self.headers["Authorization"] != f"Bearer {fake.token}":
                        status, content = 401, {"detail": "Not authenticated"}
                    return self.reply(status, [(b"content-type", b"application/json")], json.dumps(content).encode())
                page = FRAME.format(base=fake.base, theme=fake.theme) if path == "/plugin/make" else f"<p>{path}</p>"
                self.reply(200, [(b"content-type", b"text/html")], page.encode())

            def reply(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    if name != b"content-length":
                        self.send_header(name.decode(), value.decode())
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        return Handler
