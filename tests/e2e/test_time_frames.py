"""What runs of a real Airflow pull: days when the clocks change, manual runs, asset-triggered runs, and none at all."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest

from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.sandbox import Sandbox
from tests.e2e.rest import Rest
from tests.e2e.stack import TOKEN, AirflowStack, wait_for

ZONES = {"london": "Europe/London", "prague": "Europe/Prague", "new_york": "America/New_York"}
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def sandbox(rest: Rest) -> Iterator[Sandbox]:
    with Sandbox(scenarios=40, token=TOKEN) as running:
        rest.add_connection("make_time_frames", running)
        for dag_id in (*(f"days_{city}" for city in ZONES), "cron_string", "by_asset"):
            rest.pause(dag_id, False)
        yield running


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return root / "time_frames"


def clock_changes(zone: ZoneInfo) -> list[date]:
    """Return the days of the last eleven months on which the clocks change."""
    today = datetime.now(zone).date()
    days = [today - timedelta(days=number) for number in range(2, 335)]
    return [day for day in days if midnight(day + timedelta(days=1), zone) - midnight(day, zone) != timedelta(days=1)]


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def count_requests(sandbox: Sandbox, begins: Collection[str | None]) -> int:
    """Count the requests for time frames that begin at some times: Dags with other ones run meanwhile."""
    return sum(dict(request.query).get("timeframe[dateFrom]") in begins for request in sandbox.requests)


def failed_log(rest: Rest, dag_id: str, run_id: str) -> str:
    """Return the log of a run that has failed at its first try."""
    rest.wait_for_run(dag_id, run_id, "failed")
    (task,) = rest.tasks(dag_id, run_id)
    assert task["try_number"] == 1
    return rest.log(dag_id, run_id, "pull")


def backfill(rest: Rest, dag_id: str, begin: datetime, end: datetime) -> set[str]:
    """Run a Dag for every interval of a period, and return the states of the tasks."""
    runs = rest.backfill(dag_id, begin, end, active_runs=4)
    return {state for run in runs for state in rest.states(dag_id, run["dag_run_id"]).values()}


def test_backfills_over_clock_changes_have_a_file_for_each_day(
    stack: AirflowStack, sandbox: Sandbox, folder: Path
) -> None:
    with ThreadPoolExecutor() as cities:
        list(cities.map(lambda city: check_clock_changes(city, Rest(stack.url), sandbox, folder / city / "1"), ZONES))


def check_clock_changes(city: str, rest: Rest, sandbox: Sandbox, folder: Path) -> None:
    zone = ZoneInfo(ZONES[city])
    changes = clock_changes(zone)
    assert changes
    for change in changes:
        days = [change + timedelta(days=number) for number in (-1, 0, 1)]
        paths = {day: folder / f"{day}.parquet" for day in days}
        begin, end = midnight(days[0], zone), midnight(days[-1], zone)
        assert backfill(rest, f"days_{city}", begin, end) == {"success"}
        assert set(paths.values()) <= set(folder.iterdir())
        for day, path in paths.items():
            columns = pq.read_table(path, partitioning=None)
            frame = midnight(day, zone), midnight(day + timedelta(days=1), zone)
            assert [(row["date_from"], row["date_to"]) for row in columns.to_pylist()] == [frame] * 40
            truth = sandbox.truth(date_from=frame[0], date_to=frame[1], sort_by="name", sort_dir="asc")
            assert columns["executions"].to_pylist() == [entry["executions"] for entry in truth]
    # Again, with one file missing: only that day is pulled.
    kept = {path: path.read_bytes() for path in paths.values()}
    del kept[paths[change]]
    paths[change].unlink()
    begins = {iso(midnight(day, zone)) for day in days}
    before = count_requests(sandbox, begins)
    assert backfill(rest, f"days_{city}", begin, end) == {"success", "skipped"}
    assert count_requests(sandbox, begins) == before + 1
    assert {path: path.read_bytes() for path in kept} == kept
    assert paths[change].exists()


def test_manual_run_with_a_logical_date_pulls_the_last_complete_day(sandbox: Sandbox, rest: Rest, folder: Path) -> None:
    zone = ZoneInfo(ZONES["new_york"])
    moment = datetime.now(zone) - timedelta(days=3)
    rest.wait_for_run("days_new_york", run := rest.trigger("days_new_york", logical_date=moment.isoformat()))
    path = folder / "new_york" / "1" / f"{moment.date() - timedelta(days=1)}.parquet"
    assert rest.xcom("days_new_york", run, "pull")["path"] == str(path)
    assert path.exists()


def test_runs_without_a_logical_date_fail_at_once(sandbox: Sandbox, stack: AirflowStack, rest: Rest) -> None:
    by_command = stack.airflow("dags", "trigger", "days_london", "--run-id", "by_command")
    assert by_command.returncode == 0, by_command.stdout
    for run_id in ("by_command", rest.trigger("days_london", logical_date=None)):
        log = failed_log(rest, "days_london", run_id)
        assert "this run has no data interval" in log
        assert "--logical-date" in log
        assert "Pulling organization" not in log


def test_run_of_a_cron_string_fails_at_once(sandbox: Sandbox, rest: Rest, folder: Path) -> None:
    log = failed_log(rest, "cron_string", rest.trigger("cron_string"))
    for words in ("lookback", "CronDataIntervalTimetable", "create_cron_data_intervals"):
        assert words in log
    assert not (folder / "cron").exists()


def test_runs_that_an_asset_triggers_have_a_file_each(sandbox: Sandbox, rest: Rest, folder: Path) -> None:
    def is_done() -> bool:
        return any(run["state"] == "success" for run in rest.runs("by_asset"))

    wait_for("A run that the asset triggers", is_done, 180)
    runs = [run for run in rest.runs("by_asset") if run["state"] == "success"]
    paths = {rest.xcom("by_asset", run["dag_run_id"], "pull")["path"] for run in runs}
    assert len(paths) == len(runs)
    assert {path for path in (folder / "by_asset").iterdir()} >= {Path(path) for path in paths}
