"""Airflow's REST API, as far as the tests need it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import requests

from tests.e2e.stack import PASSWORD

FINAL = ("success", "failed", "skipped", "upstream_failed", "removed")
Json = dict[str, Any]


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

    def wait_for_dag(self, dag_id: str, seconds: float = 120) -> None:
        """Wait until the Dag processor has parsed a Dag."""
        end = time.monotonic() + seconds
        while self._session.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=60).status_code != 200:
            errors = self.call("GET", "importErrors")["import_errors"]
            assert not errors, errors
            assert time.monotonic() < end, f"{dag_id} is not parsed after {seconds} s"
            time.sleep(1)

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a Dag."""
        self.call("PATCH", f"dags/{dag_id}", json={"is_paused": paused})

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

    def asset_events(self) -> list[Json]:
        """Return all asset events, the oldest first."""
        path, params = f"{self.url}/api/v2/assets/events", {"limit": "500", "order_by": "timestamp"}
        # Airflow returns 500 as long as a run that an event created has not started.
        for _ in range(240):
            response = self._session.get(path, params=params, timeout=60)
            if response.status_code != 500:
                break
            time.sleep(0.5)
        response.raise_for_status()
        result: list[Json] = response.json()["asset_events"]
        return result
