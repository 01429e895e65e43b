"""Paths and URLs of objects."""

from __future__ import annotations

import os
import unicodedata
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from airflow.providers.common.compat.sdk import Asset, ObjectStoragePath
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import object_uri, parse_object_path, resolve_object, split_location


def parse(value: Any) -> str:
    return parse_object_path("output_path", value, "a path")


@pytest.mark.parametrize(
    ("value", "location"),
    [
        ("/data/a.csv", "/data/a.csv"),
        ("//data//./b/../a.csv", "/data/a.csv"),
        ("a.csv", f"{os.getcwd()}/a.csv"),
        ("./s3:/a.csv", f"{os.getcwd()}/s3:/a.csv"),
        ("/data/a:b.csv", "/data/a:b.csv"),
        ("/data/s3://a.csv", "/data/s3:/a.csv"),
        ("scheduled__2026-01-01T00:00:00+00:00.csv", f"{os.getcwd()}/scheduled__2026-01-01T00:00:00+00:00.csv"),
        ("run:1.csv", f"{os.getcwd()}/run:1.csv"),
        ("2026-01-01T00:00:00.csv", f"{os.getcwd()}/2026-01-01T00:00:00.csv"),
        ("C:\\data\\a.csv", f"{os.getcwd()}/C:\\data\\a.csv"),
        ("C:/data/a.csv", f"{os.getcwd()}/C:/data/a.csv"),
        ("/data/a?b#c.csv", "/data/a?b#c.csv"),
        ("/data/a##?.csv", "/data/a##?.csv"),
        ("/data/👩‍👩‍👧 Ü.csv", "/data/👩‍👩‍👧 Ü.csv"),
        ("file:///data/a.csv", "file:///data/a.csv"),
        ("FILE:///data/a.csv", "file:///data/a.csv"),
        ("file://conn@/data/a.csv", "file://conn@/data/a.csv"),
        ("S3://Bucket/A.csv", "s3://Bucket/A.csv"),
        ("s3://conn@bucket/a", "s3://conn@bucket/a"),
        ("s3://bucket/a//b.csv", "s3://bucket/a//b.csv"),
        ("abfs://$web/a.csv", "abfs://$web/a.csv"),
        ("s3://arn:aws:s3:eu-west-1:1:accesspoint/point/a.csv", "s3://arn:aws:s3:eu-west-1:1:accesspoint/point/a.csv"),
        ("hdfs:///data/a.csv", "hdfs:///data/a.csv"),
    ],
)
def test_valid_locations(value: str, location: str) -> None:
    assert parse(value) == location


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "a path"),
        ("", "a path"),
        (" \t", "a path"),
        ("~/a.csv", "a path"),
        *((value, "white space") for value in (" /data/a.csv", "/data/a.csv ", "s3://bucket/a.csv\n", "\u3000a.csv")),
        *(
            (value, "control characters")
            for value in ("/data/a\tb.csv", "/data/a\0.csv", "/a\ud83d.csv", "s3://b/\x1b")
        ),
        *(
            (value, "not a folder")
            for value in ("/data/", "a/", "/", ".", "..", "/data/.", "/data/..", "s3://bucket/a/")
        ),
        *((value, "not a folder") for value in ("s3://", "file:///", "file://", "s3://bucket/")),
        *((value, "no ? or #") for value in ("/data/a?", "/data/a#", "/data/a?#b", "s3://bucket/a?", "/run?#1/a.csv")),
        *((value, "s3:// for a URL") for value in ("s3:/bucket/a.csv", "s3:bucket/a.csv", "s3//bucket/a.csv", "s3:a")),
        ("s3:/a.csv", "./s3:/a.csv for a local path"),
        ("S3:/bucket/a.csv", "S3:// for a URL"),
        ("file:/data/a.csv", "file:// for a URL"),
        ("s3://bucket/a::b.csv", "a URL without ::"),
        ("file:///data/a::b.csv", "a URL without ::"),
        ("file:////data/a.csv", "file:/// and an absolute path"),
        ("local:////data/a.csv", "local:/// and an absolute path"),
        ("anything:/a.csv", "anything:// for a URL"),
        *(
            (value, "a scheme such as s3://")
            for value in ("://bucket/a.csv", "1s3://bucket/a.csv", "{scheme}://b/a.csv")
        ),
        *((value, "file:/// and an absolute path") for value in ("file://data/a.csv", "file://localhost/data/a.csv")),
        ("s3://bucket", "s3://, a bucket or container, a slash and a name"),
        *(
            (value, "a bucket or container")
            for value in ("s3://bucket.csv", "s3:///bucket/a.csv", "gs://a", "abfs://c")
        ),
        *((value, "a bucket or container") for value in ("s3://my bucket/a", "s3://<bucket>/a", "s3://é/a", "az://c")),
        ("s3://bucket/a?versionId=1.csv", "a version of another object"),
    ],
)
def test_error_names_what_would_be_right(value: Any, expected: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        parse(value)
    assert str(caught.value).startswith(f"output_path={value!r} is not valid: expected ")
    assert expected in str(caught.value)


ODD_NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("/?#%:@[]&=+;~ é"), min_size=1)


@settings(deadline=None)
@given(ODD_NAMES)
def test_airflow_writes_to_the_path_that_was_validated(name: str) -> None:
    for url in (f"/data/{name}", f"file:///data/{name}"):
        try:
            location = parse(url)
        except MakeInputError:
            assume(False)
        path = ObjectStoragePath(location)
        assert os.path.normpath(path.path) == os.path.normpath(f"/data/{name}")


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/data/a.parquet", "file:///data/a.parquet"),
        ("file:///data/a.parquet", "file:///data/a.parquet"),
        ("/data/date=2026-11-22/a+b,c@d~e.csv", "file:///data/date=2026-11-22/a+b,c@d~e.csv"),
        ("/data/run?=1#2/a@b.parquet", "file:///data/run%3F=1%232/a@b.parquet"),
        ("/data/Übersicht/a b.csv", "file:///data/%C3%9Cbersicht/a%20b.csv"),
        ("/data/a%20b.csv", "file:///data/a%2520b.csv"),
        ("s3://bucket/make/a.parquet", "s3://bucket/make/a.parquet"),
        ("s3://aws_default@bucket/make/date=2026-11-22/a.parquet", "s3://bucket/make/date=2026-11-22/a.parquet"),
        ("s3://bucket/a@b#c.csv", "s3://bucket/a@b%23c.csv"),
        ("gs://bucket/č.csv", "gs://bucket/%C4%8D.csv"),
    ],
)
def test_object_uri_has_a_scheme_and_no_connection_id(path: str, uri: str) -> None:
    assert object_uri(path) == uri
    assert Asset(uri=uri).uri == uri


@settings(deadline=None)
@given(ODD_NAMES, st.sampled_from(["/data/", "file:///data/", "s3://bucket/", "gs://conn@bucket/", "sftp://host:22/"]))
def test_airflow_keeps_the_whole_uri_of_any_name(name: str, folder: str) -> None:
    try:
        location = parse(folder + name)
    except MakeInputError:
        assume(False)
    asset_uri = Asset(uri=object_uri(location)).uri
    assert asset_uri.isascii()
    scheme, host, path = split_location(location)
    kept = urlsplit(asset_uri)
    assert (kept.scheme, kept.netloc, unquote(kept.path)) == (scheme, host, path)
    assert not unicodedata.category(asset_uri[-1]).startswith("Z")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("s3://bucket/a.csv", "pip install 'apache-airflow-providers-amazon[s3fs]'"),
        ("s3n://bucket/a.csv", "Airflow's scheme for this storage is s3://. s3:// needs a package"),
        ("gs://bucket/a.csv", "pip install 'apache-airflow-providers-google'"),
        ("abfss://container/a.csv", "pip install 'apache-airflow-providers-microsoft-azure'"),
        ("az://container/a.csv", "Airflow's scheme for this storage is abfs://. abfs:// needs a package"),
        ("sftp://host/a.csv", "pip install 'apache-airflow-providers-sftp[sshfs]'"),
        ("nowhere://host/a.csv", "Expected a storage of an installed provider"),
    ],
)
def test_error_names_the_package_of_an_unknown_storage(url: str, advice: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        resolve_object("output_path", parse(url), None)
    assert str(caught.value).startswith(f"output_path={url!r} can't be reached: ")
    assert advice in str(caught.value)
