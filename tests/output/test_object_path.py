"""Paths and URLs of objects: their fields, also when the clocks change; their checks, storages and asset URIs."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowException, Asset, ObjectStoragePath
from airflow.timetables.interval import CronDataIntervalTimetable
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from airflow_provider_make.api.time_frame import TimeFrame, resolve_time_frame
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import (
    PathFields,
    StoredObject,
    object_page,
    object_uri,
    parse_object_path,
    resolve_object,
    split_location,
)
from tests.support.airflow_versions import VERSION, find

DAY = TimeFrame(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
TimeRestriction = find("TimeRestriction", "airflow.timetables.base")


def fields(time_frame: TimeFrame = DAY, timezone: str = "Europe/Prague") -> PathFields:
    return PathFields(42, "eu1.make.com", time_frame, ZoneInfo(timezone))


@pytest.mark.parametrize(
    ("path", "filled"),
    [
        (None, None),
        ("/data/a.csv", "/data/a.csv"),
        (Path("/data/{zone}/a.csv"), "/data/eu1.make.com/a.csv"),
        ("s3://b/{zone}/{organization_id}/a.csv", "s3://b/eu1.make.com/42/a.csv"),
        ("/{date_from:%Y-%m-%d}/{date_to:%Y-%m-%d}.csv", "/2026-03-29/2026-03-30.csv"),
        ("/{date_from:%Y/%m/%d/%H:%M%z}.csv", "/2026/03/29/00:00+0100.csv"),
        ("/{date_from:%%%j}.csv", "/%088.csv"),
        ("/{{{organization_id}}}/{{}}.csv", "/{42}/{}.csv"),
        ("/%Y.csv", "/%Y.csv"),
    ],
)
def test_fields_are_filled(path: Any, filled: str | None) -> None:
    assert fields().fill(path) == filled


@pytest.mark.parametrize(
    "path",
    [
        "/{team_id}.csv",
        "/{}.csv",
        "/{0}.csv",
        "/{organization_id.real}.csv",
        "/{zone[0]}.csv",
        "/{zone!r}.csv",
        "/{date_from!s:%Y}.csv",
        "/{organization_id:08d}.csv",
        "/{date_from.year}.csv",
        "/{ date_from:%Y}.csv",
        "/{Zone}.csv",
        "/{.csv",
        "/}.csv",
        "/{zone.csv",
        "/{date_from:{zone}}.csv",
    ],
)
def test_error_names_the_fields_that_exist(path: str) -> None:
    with pytest.raises(MakeInputError) as caught:
        fields().fill(path)
    text = str(caught.value)
    assert f"output_path={path!r}" in text
    assert "{organization_id}, {zone}, {date_from:%Y-%m-%d} and {date_to:%Y-%m-%d}" in text or "a format for" in text


@pytest.mark.parametrize(
    "template", ["", ":", ":day", ":%%", ":%Q", ":%Y-%Q", ":%s", ":%-s", ":%Y\0", ":%Y\ud83d", ":%10000d"]
)
def test_error_names_a_format_that_can_not_tell_times_apart(template: str) -> None:
    with pytest.raises(
        MakeInputError, match=r"expected a format for strftime in the field, such as \{date_to:%Y-%m-%d\}"
    ):
        fields().fill(f"/{{date_to{template}}}.csv")


def test_error_names_the_time_that_the_time_frame_has_not() -> None:
    open_frame = TimeFrame(None, DAY.date_to)
    assert fields(open_frame).fill("/{date_to:%d}.csv") == "/30.csv"
    with pytest.raises(MakeInputError, match="set date_from"):
        fields(open_frame).fill("/{date_from:%d}.csv")


@pytest.mark.parametrize(
    ("path", "hours", "shares"),
    [
        (None, 1, False),
        ("/latest.csv", 1, False),
        ("/{organization_id}.csv", 1, False),
        ("/{date_from:%Y-%m-%d}.csv", 24, False),
        ("/{date_from:%Y-%m-%d}.csv", 1, True),
        ("/{date_from:%Y-%m}.csv", 24, True),
        ("/{date_from:%d}-{date_to:%H}.csv", 1, False),
        ("/{date_from:%Y-%m-%dT%H}.csv", 1, False),
    ],
)
def test_next_time_frame_with_the_same_path_is_noticed(path: str | None, hours: int, shares: bool) -> None:
    begin = datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert fields(TimeFrame(begin, begin + timedelta(hours=hours))).shares_path_with_next(path) is shares


def test_end_of_all_time_has_no_next_time_frame() -> None:
    frame = TimeFrame(DAY.date_from, datetime(9999, 12, 31, tzinfo=UTC))
    assert not fields(frame).shares_path_with_next("/{date_from:%Y-%m-%d}.csv")


def test_hour_that_occurs_twice_is_noticed() -> None:
    # On 25 October 2026, 02:00 in Prague is at 00:00 and 01:00 UTC.
    begin = datetime(2026, 10, 25, 0, tzinfo=UTC)
    hour = fields(TimeFrame(begin, begin + timedelta(hours=1)))
    assert hour.shares_path_with_next("/{date_from:%Y-%m-%dT%H}.csv")
    assert not hour.shares_path_with_next("/{date_from:%Y-%m-%dT%H%z}.csv")


@pytest.mark.parametrize("zone", ["Europe/London", "Europe/Prague", "America/New_York", "UTC"])
@pytest.mark.parametrize("change", ["2026-03-08", "2026-03-29", "2026-10-25", "2026-11-01"])
def test_each_day_has_its_own_file_when_the_clocks_change(zone: str, change: str) -> None:
    timezone = ZoneInfo(zone)
    first = datetime.fromisoformat(change).replace(tzinfo=timezone) - timedelta(days=2)
    timetable = CronDataIntervalTimetable("0 0 * * *", timezone=zone)
    restriction = TimeRestriction(earliest=pendulum.instance(first), latest=None, catchup=True)
    paths, interval = [], None
    for _ in range(5):
        run = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        assert run is not None
        interval = run.data_interval
        assert interval is not None
        frame = resolve_time_frame(
            now=datetime(2026, 11, 5, tzinfo=UTC), data_interval_start=interval.start, data_interval_end=interval.end
        )
        # As date_from and date_to in the argument's time zone, they are the same frame.
        day = interval.start.astimezone(timezone).date()
        assert frame == resolve_time_frame(
            now=datetime(2026, 11, 5, tzinfo=UTC), timezone=timezone, date_from=day, date_to=day + timedelta(days=1)
        )
        assert not fields(frame, zone).shares_path_with_next("/{date_from:%Y-%m-%d}.csv")
        paths.append(fields(frame, zone).fill("/{date_from:%Y-%m-%d}.csv"))
    assert paths == [f"/{(first + timedelta(days=number)):%Y-%m-%d}.csv" for number in range(5)]


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


@pytest.mark.parametrize("location", ["/data/\xfc.csv", "\xfc.csv", "file:///data/\xfc.csv"])
def test_local_name_that_the_machine_can_not_encode_is_an_error(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As in the locale C without UTF-8, in which Airflow 2.11 starts, but 3.3 does not.
    monkeypatch.setattr(os, "fsencode", lambda name: name.encode("ascii"))
    with pytest.raises(MakeInputError, match=r"encoding of file names, which is ascii; for others, set PYTHONUTF8=1"):
        parse(location)
    assert parse("/data/u.csv") == "/data/u.csv"
    assert parse("s3://bucket/\xfc.csv") == "s3://bucket/\xfc.csv"


ODD_NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("/?#%:@[]&=+;~ é"), min_size=1)


@settings(deadline=None)
@given(ODD_NAMES)
def test_local_path_is_the_one_that_was_validated_and_the_one_that_airflow_would_write_to(name: str) -> None:
    for url in (f"/data/{name}", f"file:///data/{name}", f"local:///data/{name}"):
        try:
            location = parse(url)
        except MakeInputError:
            assume(False)
        path = resolve_object("output_path", location, None)
        assert os.path.normpath(path.path) == os.path.normpath(f"/data/{name}")
        if url.startswith("local:") and VERSION < (3, 0):
            # Airflow 2 does not know this scheme, unlike fsspec.
            continue
        airflows = ObjectStoragePath(location)
        # Some versions of Airflow write several slashes in a row as one.
        assert os.path.normpath(str(path)) == os.path.normpath(str(airflows))
        assert os.path.normpath(path.path) == os.path.normpath(airflows.path)
        assert path.fs == airflows.fs


@pytest.mark.parametrize("location", ["/data/a.csv", "file:///data/a.csv", "file://mine@/data/a.csv"])
def test_connection_of_a_local_path_is_in_its_url_as_airflow_has_it(location: str) -> None:
    path, airflows = resolve_object("output_path", location, "given"), ObjectStoragePath(location, conn_id="given")
    assert (str(path), path.path) == (str(airflows), airflows.path)


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


class Client:
    """A client of a storage, whose address is the attribute that S3's or Google's has."""

    def __init__(self, address: str) -> None:
        self.s3 = SimpleNamespace(meta=SimpleNamespace(endpoint_url=address))
        self.base = address


@pytest.mark.parametrize(
    ("path", "address", "page"),
    [
        ("s3://c@b/x/a b#?.csv", "https://s3.amazonaws.com", "s3/object/b?prefix=x/a%20b%23%3F.csv"),
        ("s3a://b/a.csv", "https://s3.eu-west-1.amazonaws.com", "s3/object/b?prefix=a.csv"),
        ("s3://b/a.csv", "https://s3.dualstack.eu-west-1.amazonaws.com/", "s3/object/b?prefix=a.csv"),
        ("gs://b/x/č.html", "https://storage.googleapis.com/storage/v1/", "b/x/%C4%8D.html"),
        # Compatible stores and emulators, and partitions of AWS with a console of their own.
        ("s3://b/a.csv", "http://127.0.0.1:9000", None),
        ("s3://b/a.csv", "https://s3.example.com/amazonaws.com", None),
        ("s3://b/a.csv", "https://s3.amazonaws.com.example.com", None),
        ("s3://b/a.csv", "https://s3.cn-north-1.amazonaws.com.cn", None),
        ("s3://b/a.csv", "https://s3.dualstack.us-gov-west-1.amazonaws.com", None),
        ("gs://b/a.csv", "http://localhost:4443/storage/v1/", None),
        ("abfs://c/a.csv", "https://account.blob.core.windows.net", None),
        ("/data/a.csv", "", None),
        ("file:///data/a.csv", "", None),
    ],
)
def test_objects_of_aws_and_google_have_a_page(
    path: str, address: str, page: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = SimpleNamespace(fs=Client(address))
    monkeypatch.setattr("airflow_provider_make.output.object_path.resolve_object", lambda *arguments: stored)
    host = "storage.cloud.google.com" if path.startswith("gs") else "console.aws.amazon.com"
    assert object_page(path, "conn") == (page and f"https://{host}/{page}")
    # Another version of a client.
    stored.fs = object()
    assert object_page(path, "conn") is None


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


class Timeout(BaseException):
    """As Airflow's signal handlers raise it."""


CAUSES: list[tuple[Exception, type[OSError], str]] = [
    (RuntimeError("Server disconnected"), OSError, "RuntimeError: Server disconnected"),
    (TimeoutError(), OSError, "TimeoutError"),
    (FileNotFoundError("bucket/a.csv"), FileNotFoundError, "FileNotFoundError: bucket/a.csv"),
    (PermissionError(13, "Forbidden", "a.csv"), PermissionError, "PermissionError: [Errno 13] Forbidden: 'a.csv'"),
]


@pytest.mark.parametrize(("cause", "kind", "reason"), CAUSES)
def test_any_error_of_a_storage_names_the_object(cause: Exception, kind: type[OSError], reason: str) -> None:
    stored = StoredObject("s3://bucket/a.csv", MemoryFileSystem(), "bucket/a.csv")
    with pytest.raises(kind) as caught, stored.errors_named("written to"):
        raise cause
    assert type(caught.value) is kind
    assert str(caught.value) == f"'s3://bucket/a.csv' can't be written to its storage: {reason}"
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    "error", [MakeInputError("ours"), AirflowException("a timeout"), Timeout(), KeyboardInterrupt()]
)
def test_what_is_no_error_of_the_storage_passes_unchanged(error: BaseException) -> None:
    stored = StoredObject("s3://bucket/a.csv", MemoryFileSystem(), "bucket/a.csv")
    with pytest.raises(type(error)) as caught, stored.errors_named("written to"):
        raise error
    assert caught.value is error


def test_error_of_a_local_file_is_named_unless_it_has_a_name() -> None:
    stored = resolve_object("output_path", "/data/a.csv", None)
    named = OSError(28, "No space left on device", "/data/a.csv")
    with pytest.raises(OSError) as caught, stored.errors_named("written to"):
        raise named
    assert caught.value is named
    with pytest.raises(OSError, match=r"^'/data/a.csv' can't be .*No space left"), stored.errors_named("written to"):
        raise OSError(28, "No space left on device")
