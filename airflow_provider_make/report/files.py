"""Find the files of a report's source: one, a list, those of a folder, or those that a glob matches."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.output.object_path import parse_object_path, resolve_object
from airflow_provider_make.report.source import EXPECTED

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

_EXPECTATION = f"the path or URL of {EXPECTED}, a folder or a glob of such files, or a list of these"
_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True)
class SourceFile:
    """
    A file of a source.

    :param location: Its URL or absolute path.
    :param path: The same, with its storage.
    """

    location: str
    path: ObjectStoragePath


def default_target(source: Any, files: Sequence[SourceFile]) -> str | None:
    """Return the location of a source with ``.html``; None if it is not one file, as a folder is only for data."""
    if not _is_one(source) or [file.location for file in files] != [_parse(source)]:
        return None
    return f"{files[0].location.removesuffix('.parquet')}.html"


def find_files(source: Any, storage_conn_id: str | None) -> list[SourceFile]:
    """
    Find the files of a source.

    A folder is searched with all folders in it, for names that end in ``.parquet``; names that begin with a dot or an
    underscore are ignored, as other readers of such folders do.

    :param source: A path or URL, or a list of them; see ``write_report``.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :return: The files, each once, sorted by location.
    :raises MakeInputError: The source is not valid.
    :raises FileNotFoundError: A folder has no such file, or a glob matches none.
    """
    if not _is_one(source) and (not isinstance(source, Iterable) or isinstance(source, (Mapping, bytes))):
        raise MakeInputError.expected("source", source, _EXPECTATION)
    sources = [source] if _is_one(source) else list(source)
    if not sources:
        raise MakeInputError.expected("source", source, _EXPECTATION)
    found = {file.location: file for one in sources for file in _find(one, storage_conn_id)}
    return [found[location] for location in sorted(found)]


def _is_one(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike))


def _find(source: Any, storage_conn_id: str | None) -> Iterator[SourceFile]:
    if not _is_one(source):
        raise MakeInputError.expected("source", source, _EXPECTATION)
    location = _parse(source)
    path = resolve_object("source", location, storage_conn_id)
    if location.endswith(".parquet") and not _WILDCARDS.intersection(location):
        # Not looked for, as some users may read an object, but not list a bucket.
        yield SourceFile(location, path)
        return
    if path.fs.isdir(path.path):
        base, names = location, _files_below(path.fs, path.path)
    elif _WILDCARDS.intersection(location) and not path.fs.isfile(path.path):
        # The folder above the first wildcard.
        base = location[: min(location.find(one) for one in _WILDCARDS if one in location)].rpartition("/")[0]
        names = _matching(path.fs, path.path)
    else:
        yield SourceFile(location, path)
        return
    if not names:
        raise FileNotFoundError(f"source={location!r} has no Parquet files.")
    root = resolve_object("source", base or "/", storage_conn_id).path.strip("/")
    for name in names:
        one = f"{base}/{name.strip('/').removeprefix(root).lstrip('/')}"
        yield SourceFile(one, resolve_object("source", one, storage_conn_id))


def _parse(source: Any) -> str:
    location = str(source)
    # A folder's name may end with a slash; the root and a bucket stay as they are, which parse_object_path refuses.
    short = location.rstrip("/")
    return parse_object_path("source", location if short.endswith(":") else short or location, _EXPECTATION)


def _files_below(fs: Any, folder: str) -> list[str]:
    return [name for name in fs.find(folder) if name.endswith(".parquet") and not _is_hidden(name, folder)]


def _is_hidden(name: str, folder: str) -> bool:
    below = name.strip("/").removeprefix(folder.strip("/")).split("/")
    return any(part.startswith((".", "_")) for part in below)


def _matching(fs: Any, pattern: str) -> list[str]:
    names: list[str] = []
    for name, details in fs.glob(pattern, detail=True).items():
        names += _files_below(fs, name) if details["type"] == "directory" else [name]
    return names
