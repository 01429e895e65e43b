"""Paths and URLs of objects."""

from __future__ import annotations

import pytest

from airflow_provider_make.output.object_path import object_uri


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/data/a.parquet", "file:///data/a.parquet"),
        ("file:///data/a.parquet", "file:///data/a.parquet"),
        ("/data/run?=1#2/a@b.parquet", "file:///data/run?=1#2/a@b.parquet"),
        ("s3://bucket/make/a.parquet", "s3://bucket/make/a.parquet"),
        ("s3://aws_default@bucket/make/date=2026-11-22/a.parquet", "s3://bucket/make/date=2026-11-22/a.parquet"),
    ],
)
def test_object_uri_has_a_scheme_and_no_connection_id(path: str, uri: str) -> None:
    assert object_uri(path) == uri
