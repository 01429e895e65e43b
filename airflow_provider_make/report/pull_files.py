"""Find the files of a report's source, and open them: Parquet files that the operator wrote."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import msgspec

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.formats import parquet_schema
from airflow_provider_make.output.object_path import StoredObject, parse_object_path, resolve_object

if TYPE_CHECKING:
    import pyarrow
    from pyarrow.parquet import ParquetFile

# Rows in memory at a time; smaller batches are slower.
BATCH_SIZE = 16_384
_EXPECTED = "a Parquet file that MakeAnalyticsOperator wrote"
_EXPECTED_SOURCE = f"the path or URL of {_EXPECTED}, a folder or a glob of such files, or a list of these"
_WILDCARDS = frozenset("*?[")
# How the names of hidden files and folders begin, as other readers of such folders have it.
_HIDDEN = (".", "_")


@dataclass(frozen=True)
class Scenario:
    """A scenario's figures; centicredits is an integer."""

    scenario_id: int
    name: str | None
    status: str | None
    team_id: int | None
    team_name: str | None
    executions: int | None
    operations: int | None
    centicredits: int | None
    errors: int | None
    error_rate: float | None


SCENARIO_COLUMNS = tuple(field.name for field in fields(Scenario))
# The columns that reports use.
COLUMNS = (*SCENARIO_COLUMNS, "extracted_at")


@dataclass(frozen=True)
class SourceFile:
    """A file of a source: its URL or absolute path, and the object in its storage."""

    location: str
    stored: StoredObject


_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class Totals(msgspec.Struct, frozen=True):
    """The organization's figures in a pull's summary; None if absent or not calculable. Changes are percentages."""

    executions: int | None = None
    operations: int | None = None
    centicredits_text: Annotated[str, msgspec.Meta(pattern="^[0-9]+$", max_length=1000)] | None = msgspec.field(
        default=None, name="centicredits"
    )
    errors: int | None = None
    error_rate: float | None = None
    executions_change: float | None = None
    operations_change: float | None = None
    centicredits_change: float | None = None
    errors_change: float | None = None
    error_rate_change: float | None = None

    @property
    def centicredits(self) -> int | None:
        return None if self.centicredits_text is None else int(self.centicredits_text)


class Summary(msgspec.Struct, frozen=True):
    """The part of a pull's summary, in the Parquet file's metadata, that a report uses."""

    organization_id: int
    zone: str
    total: Totals
    provider_version: str
    date_from: _Time | None = None
    date_to: _Time | None = None
    # Whose days the time frame covers; files of older versions have none.
    timezone: str | None = None
    # What was asked for, by argument; none for all scenarios, and None in files of older versions.
    filters: dict[str, list[int | str]] | None = None

    @property
    def time_zone(self) -> ZoneInfo:
        """The time zone whose days the pull covers; UTC if the file does not name one that this machine knows."""
        try:
            return ZoneInfo(self.timezone or "UTC")
        except (ValueError, OSError, KeyError):
            return ZoneInfo("UTC")


@dataclass(frozen=True)
class PullFile:
    """The open Parquet file of a pull. Errors of reading it name it."""

    source: SourceFile
    summary: Summary
    parquet: ParquetFile

    def batches(self) -> Iterator[pyarrow.RecordBatch]:
        """Read the rows in batches of ``COLUMNS``."""
        # Threads would not be faster, and would use more memory.
        with _read_errors(self.source, "its rows can't be read"):
            for batch in self.parquet.iter_batches(BATCH_SIZE, columns=list(COLUMNS), use_threads=False):
                # Another writer may have left text that is not UTF-8.
                batch.validate(full=True)
                yield batch

    def read(self, columns: Sequence[str]) -> pyarrow.Table:
        with _read_errors(self.source, "its rows can't be read"):
            rows = self.parquet.read(list(columns), use_threads=False).select(list(columns))
            rows.validate(full=True)
            return rows


def find_files(source: Any, storage_conn_id: str | None) -> list[SourceFile]:
    """Find the files of a source, as ``write_report`` describes it: each once, sorted by location."""
    sources = [source] if _is_path(source) else source
    if not isinstance(sources, Iterable) or isinstance(sources, (Mapping, bytes)) or not (sources := list(sources)):
        raise MakeInputError.expected("source", source, _EXPECTED_SOURCE)
    found = {file.location: file for path in sources for file in _find(path, storage_conn_id)}
    return [found[location] for location in sorted(found)]


def default_target(source: Any, files: Sequence[SourceFile]) -> str | None:
    """Return the location of a file or folder with ``.html``, so next to it; None for a list or a glob."""
    if not _is_path(source):
        return None
    location = _parse(source)
    is_glob = bool(_WILDCARDS.intersection(location)) and [file.location for file in files] != [location]
    return None if is_glob else f"{location.removesuffix('.parquet')}.html"


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike))


def _find(source: Any, storage_conn_id: str | None) -> Iterator[SourceFile]:
    if not _is_path(source):
        raise MakeInputError.expected("source", source, _EXPECTED_SOURCE)
    location = _parse(source)
    path = resolve_object("source", location, storage_conn_id)
    wildcards = _WILDCARDS.intersection(location)
    if location.endswith(".parquet") and not wildcards:
        # Not looked for, as some users may read an object, but not list a bucket.
        yield SourceFile(location, path)
        return
    folder, names = location, None
    with path.errors_named("listed in"):
        if path.fs.isdir(path.path):
            names = _files_below(path.fs, path.path)
        elif wildcards and not path.fs.isfile(path.path):
            # The folder above the first wildcard.
            folder = location[: min(map(location.find, wildcards))].rpartition("/")[0]
            names = _matching(path.fs, path.path)
    if names is None:
        yield SourceFile(location, path)
        return
    if not names:
        raise FileNotFoundError(f"source={location!r} has no Parquet files.")
    root = resolve_object("source", folder or "/", storage_conn_id).path.strip("/")
    for name in names:
        found = f"{folder}/{name.strip('/').removeprefix(root).lstrip('/')}"
        yield SourceFile(found, resolve_object("source", found, storage_conn_id))


def _parse(source: Any) -> str:
    location = str(source)
    # A folder's name may end with a slash; the root and a bucket stay as they are, which parse_object_path refuses.
    short = location.rstrip("/")
    return parse_object_path("source", location if short.endswith(":") else short or location, _EXPECTED_SOURCE)


def _files_below(fs: Any, folder: str) -> list[str]:
    from fsspec.implementations.local import LocalFileSystem

    names = _walk(folder) if isinstance(fs, LocalFileSystem) else fs.find(folder)
    return [name for name in names if name.endswith(".parquet") and not _is_hidden(name, folder)]


def _walk(folder: str) -> Iterator[str]:
    """Find all local files. Unlike fsspec, it leaves out no folder that is a link or may not be read, unless hidden."""

    def fail(error: OSError) -> None:
        # A folder that another process has just removed has no files.
        if not isinstance(error, FileNotFoundError):
            raise error

    # A link may lead to a folder that is read anyway, or back to its own.
    seen, targets = set(), {folder: os.path.realpath(folder)}
    for parent, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        target = targets.pop(parent)
        if target in seen:
            folders.clear()
            continue
        seen.add(target)
        links = {name for name in folders if os.path.islink(os.path.join(parent, name))}
        folders[:] = sorted((name for name in folders if not name.startswith(_HIDDEN)), key=links.__contains__)
        for name in folders:
            path = os.path.join(parent, name)
            targets[path] = os.path.realpath(path) if name in links else os.path.join(target, name)
        yield from (os.path.join(parent, name) for name in names)


def _is_hidden(name: str, folder: str) -> bool:
    below = name.strip("/").removeprefix(folder.strip("/")).split("/")
    return any(part.startswith(_HIDDEN) for part in below)


def _matching(fs: Any, pattern: str) -> list[str]:
    names: list[str] = []
    for name, details in fs.glob(pattern, detail=True).items():
        # fsspec has another type for a local folder that is a link.
        is_folder = details["type"] == "directory" or (details.get("islink") and os.path.isdir(name))
        names += _files_below(fs, name) if is_folder else [name]
    return names


@contextmanager
def open_pull(file: SourceFile) -> Iterator[PullFile]:
    """Open a file, and check that the operator wrote it; errors name it."""
    from pyarrow.parquet import ParquetFile

    if os.path.exists(file.location) and not os.path.isfile(file.location):
        # To open a pipe would wait for its writer.
        raise _not_a_pull(file, "this is not a regular file")
    with ExitStack() as stack:
        with _read_errors(file, "this is not a Parquet file"):
            parquet = stack.enter_context(ParquetFile(stack.enter_context(file.stored.open("rb"))))
            _check_columns(parquet, file)
        try:
            yield PullFile(file, _parse_summary(parquet, file), parquet)
        except OverflowError as error:
            # Arrow's years are more than Python's.
            raise _not_a_pull(file, f"its rows can't be read ({error})") from None


@contextmanager
def _read_errors(file: SourceFile, problem: str) -> Iterator[None]:
    """Name the file in the errors of the block: those of pyarrow about damaged data, and those of storages, don't."""
    from pyarrow import ArrowException

    with file.stored.errors_named("read from"):
        try:
            yield
        except ArrowException as error:
            raise _not_a_pull(file, f"{problem} ({error})") from None


def _check_columns(parquet: ParquetFile, file: SourceFile) -> None:
    expected, actual = parquet_schema(), parquet.schema_arrow
    for column in COLUMNS:
        if actual.names.count(column) != 1:
            raise _not_a_pull(file, f"this file has no column {column}")
        if (actual_type := actual.field(column).type) != (expected_type := expected.field(column).type):
            raise _not_a_pull(file, f"its column {column} is {actual_type}, not {expected_type}")


def _parse_summary(parquet: ParquetFile, file: SourceFile) -> Summary:
    summary = (parquet.metadata.metadata or {}).get(b"make_analytics")
    if summary is None:
        raise _not_a_pull(file, "its metadata has no make_analytics")
    try:
        decoded = msgspec.json.decode(summary, type=Summary)
        for time in filter(None, (decoded.date_from, decoded.date_to)):
            # Fails if another time zone, or a day more, would leave Python's years.
            time - timedelta(days=2), time + timedelta(days=2)
    except (msgspec.MsgspecError, OverflowError) as error:
        raise _not_a_pull(file, f"its metadata make_analytics is not valid ({error})") from None
    return decoded


def _not_a_pull(file: SourceFile, problem: str) -> MakeInputError:
    return MakeInputError.expected("source", file.location, f"{_EXPECTED}, but {problem}")
