from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, ObjectStoragePath

from airflow_provider_make.report import write_report
from airflow_provider_make.sandbox import Sandbox
from tests.storage.conftest import Connect, Pull
from tests.storage.gate import Gate
from tests.storage.readers import READERS, Rows, true_rows
from tests.storage.stores import Place, Store

SUFFIXES = ["parquet", "jsonl", "jsonl.gz", "csv", "csv.gz"]
TO = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FROM = TO - timedelta(days=7)
FRAME: dict[str, Any] = {"date_from": FROM, "date_to": TO}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_read_back_equal_the_truth(
    read: Callable[[Place, str], Rows], suffix: str, place: Place, sandbox: Sandbox, pull: Pull
) -> None:
    name = f"rows.{suffix}"
    begun = datetime.now(UTC).replace(microsecond=0)
    summary = pull(place, name, **FRAME)
    rows = read(place, name)
    extracted = {row["extracted_at"] for row in rows}
    assert len(extracted) == 1
    assert begun <= extracted.pop() <= datetime.now(UTC)
    assert [{**row, "extracted_at": None} for row in rows] == true_rows(sandbox, FROM, TO)
    assert summary["row_count"] == 1000
    assert summary["format"] == suffix.removesuffix(".gz")
    assert "rows" not in summary


def test_the_summary_leads_to_the_object(place: Place, pull: Pull) -> None:
    summary = pull(place, "deep/in/rows.jsonl", **FRAME)
    data = place.objects()["deep/in/rows.jsonl"]
    assert summary["bytes"] == len(data)
    assert json.loads(json.dumps(summary)) == summary
    # With the connection, or the object can't be read.
    assert ObjectStoragePath(summary["path"], conn_id=place.conn_id).read_bytes() == data


def test_a_report_goes_where_its_source_is(place: Place, sandbox: Sandbox, pull: Pull) -> None:
    path = pull(place, "deep/in/rows.parquet", **FRAME)["path"]
    for _ in range(2):
        target = write_report(path, storage_conn_id=place.conn_id)
    assert target == path.replace(".parquet", ".html")
    objects = place.objects()
    assert set(objects) == {"deep/in/rows.parquet", "deep/in/rows.html"}
    assert f">{sandbox.truth_total(**FRAME)['executions']:,}<".encode() in objects["deep/in/rows.html"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("deleted", [0, 999])
def test_a_rerun_replaces_the_object(suffix: str, deleted: int, place: Place, sandbox: Sandbox, pull: Pull) -> None:
    name = f"rows.{suffix}"
    pull(place, name, **FRAME)
    before = place.objects()
    scenarios = sandbox.organization().scenarios
    sandbox.organization().delete_scenarios([scenario.id for scenario in scenarios[:deleted]])
    if not deleted:
        sandbox.organization().add_scenarios(100)
    pull(place, name, **FRAME)
    after = place.objects()
    assert set(after) == set(before) == {name}
    assert (len(after[name]) < len(before[name])) == bool(deleted)
    for read in READERS:
        assert [{**row, "extracted_at": None} for row in read(place, name)] == true_rows(sandbox, FROM, TO)


def test_objects_beside_it_are_left_alone(place: Place, pull: Pull) -> None:
    beside = {"rows.parquet.old": b"1", "rows": b"2", "a/rows.parquet": b"3"}
    for name, data in beside.items():
        place.store.filesystem.makedirs(f"{place.url}/a", exist_ok=True)
        place.put(name, data)
    pull(place, "rows.parquet", **FRAME)
    objects = place.objects()
    assert len(objects.pop("rows.parquet")) > 1000
    assert objects == beside


@pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
def test_the_spool_is_gone_after_a_pull(place: Place, pull: Pull, spool: Any) -> None:
    pull(place, "rows.csv", **FRAME)
    assert list(spool.iterdir()) == []


@pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
def test_storage_conn_id_is_the_connection_used(store: Store, place: Place, connect: Connect, pull: Pull) -> None:
    with Gate(store.port) as relay:
        connection = store.connection(port=relay.port)
        assert connection is not None
        pull(Place(store, place.url, connect(connection)), "rows.jsonl", **FRAME)
        assert relay.connections > 0
    assert place.objects()["rows.jsonl"].count(b"\n") == 1000


@pytest.mark.parametrize("store", ["azure"], indirect=True)
def test_an_unknown_connection_fails_before_any_request_to_make(place: Place, sandbox: Sandbox, pull: Pull) -> None:
    with pytest.raises(AirflowNotFoundException, match="not_there"):
        pull(place, "rows.jsonl", storage_conn_id="not_there")
    assert sandbox.requests == []
    assert place.objects() == {}
