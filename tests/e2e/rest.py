"""Airflow's REST API, as far as the tests need it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, Protocol

import requests

from tests.e2e.stack import PASSWORD, wait_for

FINAL = ("success", "failed", "skipped", "upstream_failed", "removed")
Json = dict[str, Any]


class Server(Protocol):
    """A server for tests, such as a sandbox."""

    @property
    def connection_json(self) -> str:
        """The Airflow connection to it."""


class Rest:
    """A client of Airflow's REST API, signed in as an administrator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        response = self._session.post(f"{url}/auth/token", json={"username": "admin", "password": PASSWORD}, timeout=60)
        response.raise_for_status()
        self._session.headers["Authorization"] = f"Bearer {response.json()['access_token']}"

    def call(self, method: str, path: str, **options: Any) -> Json:
        """Send a request, and return the JSON of the response; an error shows the response."""
        response = self._session.request(method, f"{self.url}/api/v2/{path}", timeout=60, **options)
        assert response.ok, f"{method} {path}: {response.status_code} {response.text[:2000]}"
        result: Json = response.json() if response.content else {}
        return result

    def add_connection(self, conn_id: str, server: Server, **fields: object) -> None:
        """Add a connection to a server, with some fields other than the server's own."""
        self.call("POST", "connections", json=self._connection(conn_id, server, fields))

    def change_connection(self, conn_id: str, server: Server, **fields: object) -> None:
        """Change some fields of a connection to a server."""
        body = self._connection(conn_id, server, fields)
        self.call("PATCH", f"connections/{conn_id}", params={"update_mask": list(fields)}, json=body)

    def _connection(self, conn_id: str, server: Server, fields: dict[str, object]) -> Json:
        body: Json = {**json.loads(server.connection_json), "connection_id": conn_id, **fields}
        return body | {"extra": json.dumps(body["extra"])}

    def wait_for_files(self, count: int, seconds: float = 240) -> None:
        """Wait until the Dag processor has parsed a number of files, each without an error."""
        found: set[str] = set()
        end = time.monotonic() + seconds
        while len(found) < count:
            assert (errors := self.call("GET", "importErrors")["import_errors"]) == [], errors
            assert time.monotonic() < end, f"only {sorted(found)} are parsed after {seconds} s"
            found = {dag["fileloc"] for dag in self.call("GET", "dags", params={"limit": 100})["dags"]}
            time.sleep(0.5)

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a Dag."""
        self.call("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

    def start_watchers(self, *dag_ids: str) -> None:
        """Unpause Dags of one file that watchers trigger, and start the watchers."""
        self._set_paused(dag_ids, False)

    def stop_watchers(self, *dag_ids: str) -> None:
        """Pause Dags of one file that watchers trigger, and end the watchers' polls."""
        self._set_paused(dag_ids, True)

    def _set_paused(self, dag_ids: tuple[str, ...], paused: bool) -> None:
        for dag_id in dag_ids:
            self.pause(dag_id, paused)
        # Airflow starts and ends watchers when it parses their file.
        token = self.call("GET", f"dags/{dag_ids[0]}")["file_token"]
        self.call("PUT", f"parseDagFile/{token}")

    def trigger(self, dag_id: str, **body: Any) -> str:
        """Trigger a run, and return its id."""
        body.setdefault("logical_date", datetime.now(UTC).isoformat())
        run_id: str = self.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def runs(self, dag_id: str) -> list[Json]:
        """Return all runs of a Dag, the oldest first."""
        result: list[Json] = self.call("GET", f"dags/{dag_id}/dagRuns", params={"limit": 500, "order_by": "id"})[
            "dag_runs"
        ]
        return result

    def tasks(self, dag_id: str, run_id: str) -> list[Json]:
        """Return the task instances of a run."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        result: list[Json] = self.call("GET", path, params={"limit": 500})["task_instances"]
        return result

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the states of a run's tasks by id; those of mapped tasks by ``id[index]``."""
        return {
            task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): str(task["state"])
            for task in self.tasks(dag_id, run_id)
        }

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str, seconds: float = 180) -> None:
        """Wait until a task is in one of some states."""
        end = time.monotonic() + seconds
        while (state := self.states(dag_id, run_id).get(task_id)) not in states:
            ended = state in FINAL or time.monotonic() > end
            assert not ended, f"{task_id} is {state}, not {states}:\n{self.log(dag_id, run_id, task_id)}"
            time.sleep(0.5)

    def wait_for_run(self, dag_id: str, run_id: str, state: str = "success", seconds: float = 300) -> None:
        """Wait until a run has ended; an error shows the logs of what failed."""
        end = time.monotonic() + seconds
        while (result := self.call("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"]) not in ("success", "failed"):
            assert time.monotonic() < end, f"{dag_id} {run_id} is {result}: {self.states(dag_id, run_id)}"
            time.sleep(0.5)
        if result != state:
            logs = [
                self.log(dag_id, run_id, task["task_id"], task["map_index"])
                for task in self.tasks(dag_id, run_id)
                if task["state"] == "failed"
            ]
            raise AssertionError(f"{dag_id} {run_id} is {result}: {self.states(dag_id, run_id)}\n" + "\n".join(logs))

    def wait_for_only_run(self, dag_id: str) -> str:
        """Wait for the only run of a Dag, which the scheduler creates, and for its success, and return its id."""
        wait_for(f"A run of {dag_id}", lambda: self.runs(dag_id), 180)
        (run,) = self.runs(dag_id)
        run_id: str = run["dag_run_id"]
        self.wait_for_run(dag_id, run_id)
        return run_id

    def backfill(self, dag_id: str, begin: datetime, end: datetime, active_runs: int = 8) -> list[Json]:
        """Run a Dag for each interval of a period, also for those that have run, and return the runs."""
        body = {"dag_id": dag_id, "from_date": begin.isoformat(), "to_date": end.isoformat()}
        options = {"reprocess_behavior": "completed", "max_active_runs": active_runs}
        number = self.call("POST", "backfills", json=body | options)["id"]

        def runs() -> list[Json]:
            found = [run for run in self.runs(dag_id) if run["logical_date"]]
            return [run for run in found if begin <= datetime.fromisoformat(run["logical_date"]) <= end]

        wait_for(
            f"The backfill of {dag_id}", lambda: all(run["state"] in ("success", "failed") for run in runs()), 1200
        )
        # Airflow notices the end up to half a minute later, and starts no other backfill of the Dag before that.
        response = self._session.put(f"{self.url}/api/v2/backfills/{number}/cancel", timeout=60)
        assert response.ok or response.status_code == 409, response.text
        return runs()

    def xcom(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
        """Return the result of a task."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/return_value"
        value = self.call("GET", path, params={"map_index": map_index, "deserialize": "false"})["value"]
        return json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value

    def log(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> str:
        """Return the log of a task's last try, with that of its trigger."""
        (task,) = [
            task for task in self.tasks(dag_id, run_id) if (task["task_id"], task["map_index"]) == (task_id, map_index)
        ]
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{max(1, task['try_number'])}"
        return json.dumps(self.call("GET", path, params={"map_index": map_index}), indent=1)

    def asset_events(self, asset: str) -> list[Json]:
        """Return the events of an asset with this name or URI, the oldest first."""
        path, params = f"{self.url}/api/v2/assets/events", {"limit": "500", "order_by": "timestamp"}
        # Airflow returns 500 as long as a run that an event created has not started.
        for _ in range(240):
            response = self._session.get(path, params=params, timeout=60)
            if response.status_code != 500:
                break
            time.sleep(0.5)
        response.raise_for_status()
        events: list[Json] = response.json()["asset_events"]
        return [event for event in events if asset in (event["name"], event["uri"])]
