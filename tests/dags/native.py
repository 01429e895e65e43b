"""Dags for tests of links, outlets, retry policies and lineage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias, task, task_group

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.operators.report import MakeReportOperator
from airflow_provider_make.retry_policy import MakeRetryPolicy
from airflow_provider_make.sensors.error_rate import MakeErrorRateSensor
from tests.support.airflow_versions import HAS_PARTITIONS, HAS_RETRY_POLICIES

START = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = "{{ var.value.make_analytics_root }}"
DAILY = Asset(uri="s3://warehouse/analytics", extra={"partition_key": "%Y-%m-%d"} if HAS_PARTITIONS else {})
WEEKLY = Asset("weekly")
WRONG = Asset(uri="s3://warehouse/wrong", extra={"partition_key": "daily"})

with DAG("links", schedule=None, start_date=START) as links:
    MakeAnalyticsOperator(task_id="pull", lookback=timedelta(days=7), max_xcom_bytes=5_000_000)
    MakeErrorRateSensor(task_id="wait", threshold=40, scope="scenario", min_executions=10)
    MakeErrorRateSensor(task_id="quiet", threshold=90, timeout=0, soft_fail=True)

with DAG("outlets", schedule=None, start_date=START) as outlets:
    pull = MakeAnalyticsOperator(
        task_id="pull",
        lookback=timedelta(days=1),
        date_to="{{ data_interval_end }}",
        output_path=f"{ROOT}/outlets.jsonl",
        outlets=[DAILY],
        post_execute=lambda context, result: context["ti"].xcom_push(key="event", value=outlet_event(context)),
    )

with DAG("alias", schedule=None, start_date=START) as alias:
    MakeAnalyticsOperator(
        task_id="pull",
        lookback=timedelta(days=1),
        output_path=f"{ROOT}/alias.jsonl",
        outlets=[AssetAlias("alias_of_the_pull")],
    )

with DAG("report", schedule=None, start_date=START) as report:
    pulled = MakeAnalyticsOperator(
        task_id="pull",
        lookback=timedelta(days=1),
        date_to="{{ data_interval_end }}",
        output_path=f"{ROOT}/days/{{date_from:%Y-%m-%d}}.parquet",
    )
    MakeReportOperator(
        task_id="report",
        source=pulled.output,
        target=f"{ROOT}/{{{{ dag.dag_id }}}}.html",
        title="Days of {{ dag.dag_id }}",
        min_executions="{{ 5 }}",
        outlets=[WEEKLY],
        post_execute=lambda context, result: context["ti"].xcom_push(
            key="event", value=dict(context["outlet_events"][WEEKLY].extra)
        ),
    )

with DAG("daily", schedule="@daily", start_date=START) as daily:
    MakeAnalyticsOperator(task_id="pull", output_path=f"{ROOT}/{{date_from:%Y-%m-%d}}.jsonl")

if hasattr(Asset, "ref"):
    with DAG("undefined_outlet", schedule=None, start_date=START) as undefined_outlet:
        MakeAnalyticsOperator(
            task_id="pull",
            lookback=timedelta(days=1),
            output_path=f"{ROOT}/undefined.jsonl",
            outlets=[Asset.ref(name="defined_elsewhere"), DAILY],
        )

with DAG("team_ids", schedule=None, start_date=START) as team_ids:

    @task
    def teams() -> list[dict[str, Any]]:
        from airflow_provider_make.hooks.make import MakeHook

        with MakeHook() as hook:
            return hook.get_teams()

    @task
    def team_id(team: dict[str, Any]) -> int:
        return team["team_id"]  # type: ignore[no-any-return]

    found: Any = teams()
    ids: Any = team_id.expand(team=found)
    each = MakeAnalyticsOperator.partial(
        task_id="each", lookback="P1D", output_path=f"{ROOT}/{{{{ task.team_id }}}}.csv"
    )
    each.expand(team_id=found.map(lambda team: team["team_id"]))
    MakeAnalyticsOperator(
        task_id="all",
        lookback="P1D",
        output_path=f"{ROOT}/all.csv",
        team_id=ids,
    )

with DAG("wrong_outlet", schedule=None, start_date=START) as wrong_outlet:
    MakeAnalyticsOperator(task_id="pull", lookback=timedelta(days=1), outlets=[WRONG])

# Each task is mapped over something else that identifies its pulls, which share one path: all but one would be lost.
MAPPED: dict[str, tuple[str, str, list[Any]]] = {
    "organization_id": ("csv", "replace", [1, 2, 7]),
    "team_id": ("parquet", "replace", [1001, [1002, 1003]]),
    "folder_id": ("csv", "skip", [5, 6]),
    "status": ("jsonl", "skip", ["active", ["inactive", "invalid"]]),
    "make_conn_id": ("parquet", "replace", ["make_default", "make_other"]),
    "lookback": ("jsonl", "replace", [timedelta(days=1), timedelta(days=2)]),
}
DAY: dict[str, Any] = {"lookback": timedelta(days=1), "date_to": "{{ data_interval_end }}"}


def map_over(name: str) -> None:
    suffix, if_exists, values = MAPPED[name]
    same = {key: value for key, value in DAY.items() if key != name}
    path = f"{ROOT}/{name}.{suffix}"
    MakeAnalyticsOperator.partial(task_id=name, if_exists=if_exists, output_path=path, **same).expand(**{name: values})


def map_apart(name: str, path: str) -> None:
    MakeAnalyticsOperator.partial(task_id=name, output_path=f"{ROOT}/{name}-{path}.csv", **DAY).expand(
        organization_id=[1, 2, 7]
    )


# Airflow 3.0 to 3.2 take seconds for each mapped task.
with DAG("mapped_once", schedule=None, start_date=START) as mapped_once:
    map_over("team_id")

with DAG("mapped_apart_once", schedule=None, start_date=START) as mapped_apart_once:
    map_apart("field", "{organization_id}")

with DAG("mapped", schedule=None, start_date=START) as mapped:
    for name in MAPPED:
        map_over(name)
    MakeAnalyticsOperator.partial(task_id="kwargs", **DAY).expand_kwargs(
        [
            {"organization_id": 1, "output_path": f"{ROOT}/a/../kwargs.csv"},
            {"organization_id": 2, "output_path": f"{ROOT}/kwargs.csv"},
        ]
    )

    @task_group
    def group(organization_id: Any) -> None:
        MakeAnalyticsOperator(task_id="pull", organization_id=organization_id, output_path=f"{ROOT}/group.csv", **DAY)

    group.expand(organization_id=[1, 2])

with DAG("mapped_apart", schedule=None, start_date=START) as mapped_apart:
    for name, path in {
        "field": "{organization_id}",
        "task": "{{ task.organization_id }}",
        "index": "{{ ti.map_index }}",
    }.items():
        map_apart(name, path)
    # The same pull twice: nothing is lost.
    MakeAnalyticsOperator.partial(task_id="same", output_path=f"{ROOT}/same.csv", **DAY).expand(organization_id=[1, 1])

if HAS_RETRY_POLICIES:
    with DAG("waits", schedule=None, start_date=START) as waits:
        MakeAnalyticsOperator(
            task_id="pull",
            lookback=timedelta(days=7),
            api_retry_limit=1,
            max_xcom_bytes=5_000_000,
            retries=2,
            retry_delay=timedelta(hours=1),
            retry_policy=MakeRetryPolicy(),
        )

with DAG("hooked", schedule=None, start_date=START) as hooked:

    @task
    def read() -> int:
        from airflow_provider_make.hooks.make import MakeHook

        with MakeHook() as hook:
            return sum(len(page.analytics) for page in hook.iter_analytics_pages(page_size=100))

    read()


def outlet_event(context: Any) -> dict[str, Any]:
    """Return the extra and partitions of the outlet's event."""
    event = context["outlet_events"][DAILY]
    return {"extra": dict(event.extra), "partitions": sorted(getattr(event, "partition_keys", ()))}
