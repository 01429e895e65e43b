"""What happens to an object that exists, and the comparison of its rows with the new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, ObjectStoragePath
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.preflight import check_existing, describe_replacement, parse_if_exists

SUMMARY: dict[str, Any] = {
    "zone": "eu1.make.com",
    "organization_id": 42,
    "date_from": "2026-11-22T00:00:00Z",
    "date_to": "2026-11-23T00:00:00Z",
    "row_count": 10,
}


def write_parquet(path: Path, **changes: Any) -> ObjectStoragePath:
    table = pa.table({"a": [1]}).replace_schema_metadata({"make_analytics": json.dumps({**SUMMARY, **changes})})
    pq.write_table(table, path)
    return ObjectStoragePath(str(path))


@pytest.mark.parametrize("value", ["replace", "skip", "fail"])
def test_known_values_are_accepted(value: str) -> None:
    assert parse_if_exists(value) == value


@pytest.mark.parametrize("value", ["", "Skip", None, True, ["skip"], "overwrite"])
def test_error_names_another_value(value: Any) -> None:
    with pytest.raises(MakeInputError, match="if_exists=.* expected one of replace, skip, fail"):
        parse_if_exists(value)


@pytest.mark.parametrize("if_exists", ["replace", "skip", "fail"])
def test_nothing_happens_without_an_object(if_exists: str, tmp_path: Path) -> None:
    check_existing(ObjectStoragePath(str(tmp_path / "missing" / "a.csv")), if_exists)
    check_existing(ObjectStoragePath(str(tmp_path)), if_exists)


def test_existing_object_is_replaced_skipped_or_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    target = ObjectStoragePath(str(tmp_path / "a.csv"))
    check_existing(target, "replace")
    with pytest.raises(AirflowSkipException, match=r"a\.csv exists, and if_exists is 'skip'"):
        check_existing(target, "skip")
    with pytest.raises(MakeInputError, match=r"a\.csv exists: expected no object"):
        check_existing(target, "fail")


def test_storage_that_refuses_the_question_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(self: Any, path: str, **options: Any) -> Any:
        raise PermissionError(f"HeadObject {path}: Forbidden")

    monkeypatch.setattr(LocalFileSystem, "info", refuse)
    target = ObjectStoragePath(str(tmp_path / "a.csv"))
    check_existing(target, "replace")
    with pytest.raises(PermissionError):
        check_existing(target, "skip")


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({"row_count": 11}, True),
        ({"row_count": 10}, False),
        ({"row_count": 9}, False),
        ({"row_count": 11, "zone": "us1.make.com"}, False),
        ({"row_count": 11, "date_to": "2026-11-24T00:00:00Z"}, False),
        ({"row_count": "many"}, False),
    ],
)
def test_loss_of_rows_of_the_same_pull_is_described(changes: dict[str, Any], warned: bool, tmp_path: Path) -> None:
    warning = describe_replacement(write_parquet(tmp_path / "a.parquet", **changes), SUMMARY)
    assert (warning is not None) is warned
    assert warning is None or "had 11 rows for this organization and time frame, and was replaced by 10" in warning


def test_replacing_a_file_of_another_organization_is_described(tmp_path: Path) -> None:
    warning = describe_replacement(write_parquet(tmp_path / "a.parquet", organization_id=43, row_count=1), SUMMARY)
    assert warning is not None
    assert (
        f"had the figures of organization 43, and was replaced by those of organization {SUMMARY['organization_id']}"
        in warning
    )
    assert "put {organization_id} into output_path" in warning


@pytest.mark.parametrize("content", [None, b"", b"no Parquet"])
def test_other_files_have_no_rows_to_lose(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)
    assert describe_replacement(ObjectStoragePath(str(path)), SUMMARY) is None
    pq.write_table(pa.table({"a": [1]}), path)
    assert describe_replacement(ObjectStoragePath(str(path)), SUMMARY) is None
