from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowSkipException, Asset, ObjectStoragePath

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.object_path import object_uri
from airflow_provider_make.report import write_report
from airflow_provider_make.sandbox import Sandbox
from tests.storage.conftest import Connect, Pull
from tests.storage.gate import Gate
from tests.storage.readers import READERS, Rows, expected_rows
from tests.storage.stores import GoogleStore, Store, Target

SUFFIXES = ["parquet", "jsonl", "jsonl.gz", "csv", "csv.gz"]
TO = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
FROM = TO - timedelta(days=7)
FRAME: dict[str, Any] = {"date_from": FROM, "date_to": TO}
remote = pytest.mark.parametrize("store", ["s3", "google", "azure"], indirect=True)


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_are_read_back_exactly(
    read: Callable[[Target, str], Rows], suffix: str, target: Target, sandbox: Sandbox, pull: Pull
) -> None:
    name = f"rows.{suffix}"
    started = datetime.now(UTC).replace(microsecond=0)
    summary = pull(target, name, **FRAME)
    rows = read(target, name)
    extracted = {row["extracted_at"] for row in rows}
    assert len(extracted) == 1
    assert started <= extracted.pop() <= datetime.now(UTC)
    assert [{**row, "extracted_at": None} for row in rows] == expected_rows(sandbox, FROM, TO)
    assert summary["row_count"] == 1000
    assert summary["format"] == suffix.removesuffix(".gz")
    assert "rows" not in summary


def test_path_in_the_summary_opens_the_object(target: Target, pull: Pull) -> None:
    summary = pull(target, "deep/in/rows.jsonl", **FRAME)
    data = target.objects()["deep/in/rows.jsonl"]
    assert summary["bytes"] == len(data)
    assert json.loads(json.dumps(summary)) == summary
    # The object can only be read with the connection.
    assert ObjectStoragePath(summary["path"], conn_id=target.conn_id).read_bytes() == data


@pytest.mark.parametrize("name", ["a#b?c.csv", "Übersicht/a b%20c.csv", "a+b&c=d'e;f@g:h.csv", "👩‍👩‍👧[1].csv"])
def test_object_has_the_name_of_the_path(name: str, target: Target, pull: Pull) -> None:
    if ";" in name and isinstance(target.store, GoogleStore):
        # The emulator cuts a name off there.
        name = name.replace(";", "")
    path = pull(target, name, **FRAME)["path"]
    assert set(target.objects()) == {name}
    uri = Asset(uri=object_uri(path)).uri
    assert (uri.isascii(), unquote(uri)) == (True, f"{target.url}/{name}")


@pytest.mark.parametrize("store", ["s3"], indirect=True)
def test_bucket_that_can_not_be_requested_does_not_fail_the_pull(
    store: Store, target: Target, connect: Connect, pull: Pull
) -> None:
    with Gate(store.port, b"HEAD /") as gate:
        connection = store.connection(port=gate.port)
        pull(Target(store, target.url, connect(str(connection))), "rows.jsonl", **FRAME)
        assert gate.reached.is_set()
    assert set(target.objects()) == {"rows.jsonl"}


def test_report_is_written_next_to_its_source(target: Target, sandbox: Sandbox, pull: Pull) -> None:
    path = pull(target, "deep/in/rows.parquet", **FRAME)["path"]
    for _ in range(2):
        report = write_report(path, storage_conn_id=target.conn_id)
    assert report == path.replace(".parquet", ".html")
    objects = target.objects()
    assert set(objects) == {"deep/in/rows.parquet", "deep/in/rows.html"}
    assert f">{sandbox.truth_total(**FRAME)['executions']:,}<".encode() in objects["deep/in/rows.html"]


@remote
def test_object_has_the_content_type_of_its_format(target: Target, pull: Pull) -> None:
    types = {
        "rows.parquet": "application/vnd.apache.parquet",
        "rows.html": "text/html; charset=utf-8",
        "rows.jsonl": "application/x-ndjson",
        "rows.csv.gz": "application/gzip",
        "no-suffix": "text/csv; charset=utf-8",
    }
    pull(target, "no-suffix", output_format="csv", **FRAME)
    for suffix in ("parquet", "jsonl", "csv.gz"):
        path = pull(target, f"rows.{suffix}", **FRAME)["path"]
        if suffix == "parquet":
            write_report(path, storage_conn_id=target.conn_id)
    assert {name: target.content_type(name) for name in types} == {name: (kind, None) for name, kind in types.items()}


@remote
@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_object_without_rows_replaces_one_with_rows(suffix: str, target: Target, sandbox: Sandbox, pull: Pull) -> None:
    # No byte at all is a special case of every storage's client.
    pull(target, f"rows.{suffix}", **FRAME)
    sandbox.organization().delete_scenarios([scenario.id for scenario in sandbox.organization().scenarios])
    summary = pull(target, f"rows.{suffix}", **FRAME)
    (content,) = target.objects().values()
    assert (summary["row_count"], content.count(b"\n")) == (0, 1 if suffix == "csv" else 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("deleted", [0, 999])
def test_rerun_replaces_the_object(suffix: str, deleted: int, target: Target, sandbox: Sandbox, pull: Pull) -> None:
    name = f"rows.{suffix}"
    pull(target, name, **FRAME)
    before = target.objects()
    scenarios = sandbox.organization().scenarios
    sandbox.organization().delete_scenarios([scenario.id for scenario in scenarios[:deleted]])
    if not deleted:
        sandbox.organization().add_scenarios(100)
    pull(target, name, **FRAME)
    after = target.objects()
    assert set(after) == set(before) == {name}
    assert (len(after[name]) < len(before[name])) == bool(deleted)
    for read in READERS:
        assert [{**row, "extracted_at": None} for row in read(target, name)] == expected_rows(sandbox, FROM, TO)


def test_existing_object_is_kept_without_a_request(target: Target, sandbox: Sandbox, pull: Pull) -> None:
    pull(target, "day/rows.csv", if_exists="skip", **FRAME)
    before, requests = target.objects(), len(sandbox.requests)
    with pytest.raises(AirflowSkipException):
        pull(target, "day/rows.csv", if_exists="skip", **FRAME)
    with pytest.raises(MakeInputError, match="exists"):
        pull(target, "day/rows.csv", if_exists="fail", **FRAME)
    assert (target.objects(), len(sandbox.requests)) == (before, requests)
    # The name of a folder, which is no object in an object store.
    pull(target, "day/rows.csv.gz", if_exists="skip", **FRAME)


def test_object_with_more_rows_is_replaced_with_a_warning(
    target: Target, sandbox: Sandbox, pull: Pull, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(MakeAnalyticsOperator, "log", logging.getLogger("tests.pull"))
    pull(target, "rows.parquet", **FRAME)
    sandbox.organization().delete_scenarios([sandbox.organization().scenarios[0].id])
    pull(target, "rows.parquet", **FRAME)
    (message,) = [record.getMessage() for record in caplog.records if "had 1000 rows" in record.getMessage()]
    assert "replaced by 999" in message


def test_other_objects_are_not_changed(target: Target, pull: Pull) -> None:
    others = {"rows.parquet.old": b"1", "rows": b"2", "a/rows.parquet": b"3"}
    for name, data in others.items():
        target.store.filesystem.makedirs(f"{target.url}/a", exist_ok=True)
        target.put(name, data)
    pull(target, "rows.parquet", **FRAME)
    objects = target.objects()
    assert len(objects.pop("rows.parquet")) > 1000
    assert objects == others


@remote
def test_spool_is_removed_after_a_pull(target: Target, pull: Pull, spool: Any) -> None:
    pull(target, "rows.csv", **FRAME)
    assert list(spool.iterdir()) == []


@remote
def test_storage_conn_id_is_the_connection_used(store: Store, target: Target, connect: Connect, pull: Pull) -> None:
    with Gate(store.port) as relay:
        connection = store.connection(port=relay.port)
        assert connection is not None
        pull(Target(store, target.url, connect(connection)), "rows.jsonl", **FRAME)
        assert relay.connections > 0
    assert target.objects()["rows.jsonl"].count(b"\n") == 1000


@pytest.mark.parametrize("store", ["azure"], indirect=True)
def test_unknown_connection_raises_before_any_request_to_make(target: Target, sandbox: Sandbox, pull: Pull) -> None:
    with pytest.raises(AirflowNotFoundException, match="missing"):
        pull(target, "rows.jsonl", storage_conn_id="missing")
    assert sandbox.requests == []
    assert target.objects() == {}
