"""A Dag for tests: a mapped task for each of twelve organizations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag

from airflow_provider_make.operators.analytics import MakeAnalyticsOperator

FOLDER = "{{ var.value.make_analytics_root }}/mapped"
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC))
def mapped() -> None:
    MakeAnalyticsOperator.partial(
        task_id="pull", date_from=MIDNIGHT - timedelta(days=1), date_to=MIDNIGHT
    ).expand_kwargs(
        [
            {
                "organization_id": number,
                "output_path": f"{FOLDER}/{number}.parquet",
            }
            for number in range(1, 13)
        ]
    )


mapped()
