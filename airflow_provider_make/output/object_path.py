"""The path of an object: its fields, the checks of a path or URL, its storage, and its asset URI."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from string import Formatter
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_make.api.time_frame import TimeFrame, format_time
from airflow_provider_make.exceptions import MakeInputError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_FIELDS = "{organization_id}, {zone}, {date_from:%Y-%m-%d} and {date_to:%Y-%m-%d}"


@dataclass(frozen=True)
class PathFields:
    """The values of the fields, which are those of ``str.format``; those of times need a format for strftime."""

    organization_id: int
    zone: str
    time_frame: TimeFrame
    # In which times are written.
    timezone: tzinfo

    def fill(self, output_path: Any) -> Any:
        """Fill the fields of a path or URL; None, which means XCom, stays None."""
        if output_path is None:
            return None
        try:
            parts = list(Formatter().parse(str(output_path)))
        except ValueError:
            raise MakeInputError.expected("output_path", output_path, f"only the fields {_FIELDS} in braces") from None
        filled = ""
        for literal, name, template, conversion in parts:
            filled += literal
            if name is not None:
                filled += self._value(output_path, name, template or "", conversion)
        return filled

    def shares_path_with_next(self, output_path: Any) -> bool:
        """Return whether the pull of the next time frame would have the same path, although the path has times."""
        begin, end = self.time_frame.date_from, self.time_frame.date_to
        if output_path is None or begin is None or end is None:
            return False
        names = {name for _, name, _, _ in Formatter().parse(str(output_path))}
        try:
            following = replace(self, time_frame=TimeFrame(end, end + (end - begin)))
        except OverflowError:
            # An end such as 9999-12-31.
            return False
        return bool({"date_from", "date_to"} & names) and self.fill(output_path) == following.fill(output_path)

    def _value(self, output_path: Any, name: str, template: str, conversion: str | None) -> str:
        if name in ("organization_id", "zone") and not template and not conversion:
            return str(getattr(self, name))
        if name not in ("date_from", "date_to") or conversion:
            raise MakeInputError.expected("output_path", output_path, f"only the fields {_FIELDS} in braces")
        moment: datetime | None = getattr(self.time_frame, name)
        if moment is None:
            raise MakeInputError(f"output_path={output_path!r} needs a time frame with {name}: set {name}.")
        text = format_time(moment, template, self.timezone)
        if text is None:
            expectation = f"a format for strftime in the field, such as {{{name}:%Y-%m-%d}}"
            raise MakeInputError.expected("output_path", output_path, expectation)
        return text


# The schemes that Airflow's providers register, and the package that has each.
_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "apache-airflow-providers-amazon[s3fs]"),
    **dict.fromkeys(("gs", "gcs"), "apache-airflow-providers-google"),
    **dict.fromkeys(("abfs", "abfss", "adl"), "apache-airflow-providers-microsoft-azure"),
    **dict.fromkeys(("msgraph", "sharepoint", "onedrive", "msgd"), "apache-airflow-providers-microsoft-azure"),
    **dict.fromkeys(("sftp", "ssh"), "apache-airflow-providers-sftp[sshfs]"),
}
# Other tools call these storages by schemes that Airflow does not know.
_AIRFLOWS_SCHEME = {"s3n": "s3", "az": "abfs", "wasb": "abfs", "wasbs": "abfss"}
_BUCKET_SCHEMES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl", *_AIRFLOWS_SCHEME}
_FILE_SCHEMES = {"file", "local"}
_KNOWN_SCHEMES = {*_PACKAGES, *_AIRFLOWS_SCHEME, *_FILE_SCHEMES}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)")
# Two letters or more: C: is a drive.
_ALMOST_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(:/|:|//)")
# Any store's buckets and containers, Azure's $web, and the ARN of an access point.
_BUCKET = re.compile(r"[A-Za-z0-9._$:-]+")
# All that RFC 3986 allows in a path.
_URI_PATH = "/:@!$&'()*+,;=~"


def parse_object_path(name: str, value: Any, expectation: str) -> str:
    """
    Return the URL of an object, with its scheme in lower case, or its absolute path.

    What is empty, a folder, a bucket or a malformed URL is an error, and what ``ObjectStoragePath`` would change. The
    expectation says in the error what the argument should be.
    """
    location = "" if value is None else str(value)
    problem = _problem(location)
    if problem is not None:
        raise MakeInputError.expected(name, value, problem or expectation)
    if url := _URL.fullmatch(location):
        return f"{url[1].lower()}://{url[2]}"
    # Some versions of Airflow resolve a relative path against the root folder, and read //name as the name of a host.
    return "/" + os.path.abspath(location).lstrip("/")


def _problem(location: str) -> str | None:
    """Return what would be right instead of a location; empty text for the caller's own words; None if it is valid."""
    # Only a shell expands ~.
    if not location.strip() or location.startswith("~"):
        return ""
    # ObjectStoragePath removes these, or can't encode them.
    if location != location.strip() or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in location):
        return "no white space around it, and no control characters or lone surrogates in it"
    if location.rpartition("/")[2] in ("", ".", ".."):
        return "the name of an object after the last slash, not a folder"
    # ObjectStoragePath drops the ? of an empty query, and the # of an empty fragment.
    before, hash_sign, fragment = location.partition("#")
    _, question_mark, query = before.partition("?")
    if (hash_sign and not fragment) or (question_mark and not query):
        return "no ? or # at the end, and no ?# in it"
    url = _URL.fullmatch(location)
    if not url or url[1].lower() in _FILE_SCHEMES:
        try:
            os.fsencode(location)
        except UnicodeEncodeError as error:
            # In the locale C, for example.
            return (
                f"only characters of this machine's encoding of file names, which is {error.encoding}; for others, set "
                "PYTHONUTF8=1, or a locale with UTF-8, where the task runs"
            )
    if url:
        return _url_problem(url[1].lower(), url[2])
    almost = _ALMOST_URL.match(location)
    if almost and (almost[2] == ":/" or almost[1].lower() in _KNOWN_SCHEMES):
        return f"{almost[1]}:// for a URL, or ./{location} for a local path"
    if "://" in location and not location.startswith(("/", ".")):
        return "a URL that begins with a scheme such as s3://"
    return None


def _url_problem(scheme: str, rest: str) -> str | None:
    if "::" in rest:
        # What follows would be dropped.
        return "a URL without ::, which is read as a chain of storages"
    authority, _, key = rest.partition("/")
    host = authority.rpartition("@")[2]
    if scheme in _FILE_SCHEMES:
        # With four slashes, it would be read as relative to the working folder.
        return f"{scheme}:/// and an absolute path" if host or rest.startswith("//") else None
    if scheme in _BUCKET_SCHEMES:
        if not _BUCKET.fullmatch(host) or not key.strip("/"):
            return f"{scheme}://, a bucket or container, a slash and a name"
        if "?versionid=" in key.lower():
            return "a name without ?versionId=, which is read as a version of another object"
    return None


def split_location(location: str) -> tuple[str, str, str]:
    """Split a URL into scheme, host or bucket without the connection id, and path; the scheme of a path is ``file``."""
    # Without urllib: the name may contain # and ?.
    url = _URL.fullmatch(location)
    if not url:
        return "file", "", location
    host, slash, name = url[2].partition("/")
    return url[1], host.rpartition("@")[2], f"{slash}{name}"


def object_uri(location: str) -> str:
    """Return the asset URI of an object: its URL without the connection id, or ``file://`` and the path."""
    scheme, host, path = split_location(location)
    # Airflow cuts off what follows a #, sorts what follows a ?, and rejects non-ASCII characters.
    return f"{scheme}://{quote(host, safe=':')}{quote(path, safe=_URI_PATH)}"


@dataclass(frozen=True)
class StoredObject:
    """An object in a storage, which need not exist: its location as the summary has it, and its path in the storage."""

    location: str
    fs: AbstractFileSystem
    path: str

    def __str__(self) -> str:
        return self.location

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Open the object, and report it to Airflow's hook lineage, as ``ObjectStoragePath`` does."""
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector

        collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
        collector.add_input_asset(context=self, uri=self.location)
        file: IO[bytes] = self.fs.open(self.path, mode)
        return file

    @contextmanager
    def errors_named(self, action: str) -> Iterator[None]:
        """
        Name the object, its storage, and what it can't be, in any error: many of them could as well be Make's.

        The action is such as ``written to``. The errors of local files mostly have a name.
        """
        from airflow.providers.common.compat.sdk import AirflowException
        from fsspec.implementations.local import LocalFileSystem

        try:
            yield
        except AirflowException:
            # Ours, and those of Airflow's signal handlers.
            raise
        except Exception as error:
            if isinstance(self.fs, LocalFileSystem) and getattr(error, "filename", None) is not None:
                raise
            kinds = (FileNotFoundError, PermissionError, OSError)
            kind = next((kind for kind in kinds if isinstance(error, kind)), OSError)
            raise kind(f"{self.location!r} can't be {action} its storage: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def resolve_object(name: str, location: str, storage_conn_id: str | None) -> StoredObject:
    """Resolve the storage of a location, as ``parse_object_path`` returns it, and the connection of that storage."""
    url = _URL.fullmatch(location)
    if not url or (url[1] in _FILE_SCHEMES and url[2].startswith("/") and storage_conn_id is None):
        from fsspec.implementations.local import LocalFileSystem

        # Airflow would import the clients of all storages whose providers are installed.
        return StoredObject(location, LocalFileSystem(), url[2] if url else location)
    from airflow.providers.common.compat.sdk import AirflowException, ObjectStoragePath

    try:
        path = ObjectStoragePath(location, conn_id=storage_conn_id)
        return StoredObject(str(path), path.fs, path.path)
    except (ValueError, ImportError) as error:
        advice = _storage_advice(split_location(location)[0])
        raise MakeInputError(f"{name}={location!r} can't be reached: {error}. {advice}") from error
    except AirflowException:
        raise
    except Exception as error:
        # Without valid credentials, for example.
        raise OSError(f"{name}={location!r} can't be reached: {_reason(error)}") from error


# By scheme: the address of the storage whose objects have web pages, and that of an object's page.
_PAGES: dict[str, tuple[Callable[[Any], str], re.Pattern[str], str]] = {
    **dict.fromkeys(
        ("s3", "s3a"),
        (
            lambda fs: fs.s3.meta.endpoint_url,
            # Not compatible stores, nor the partitions of AWS that have a console of their own.
            re.compile(r"https://s3[.-](?!.*us-(gov|iso))([a-z0-9.-]+\.)?amazonaws\.com/?"),
            "https://console.aws.amazon.com/s3/object/{bucket}?prefix={name}",
        ),
    ),
    **dict.fromkeys(
        ("gs", "gcs"),
        (
            lambda fs: fs.base,
            re.compile(r"https://storage\.googleapis\.com/.*"),
            "https://storage.cloud.google.com/{bucket}/{name}",
        ),
    ),
}


def object_page(location: str, storage_conn_id: str | None) -> str | None:
    """Return the URL at which people open an object, after it was written; None if its storage has none."""
    scheme, bucket, path = split_location(location)
    if scheme not in _PAGES:
        return None
    address_of, pattern, page = _PAGES[scheme]
    from airflow.providers.common.compat.sdk import AirflowException

    try:
        address = address_of(resolve_object("path", location, storage_conn_id).fs)
    except AirflowException:
        # Of Airflow's signal handlers.
        raise
    except Exception:
        # The object is written: another version of the storage's client costs the link only.
        return None
    return page.format(bucket=bucket, name=quote(path.removeprefix("/"))) if pattern.fullmatch(address) else None


def _storage_advice(scheme: str) -> str:
    known = _AIRFLOWS_SCHEME.get(scheme, scheme)
    package = _PACKAGES.get(known)
    if package is None:
        return "Expected a storage of an installed provider, such as s3://, gs:// or abfs://, or a local path."
    renamed = f"Airflow's scheme for this storage is {known}://. " if known != scheme else ""
    return f"{renamed}{known}:// needs a package: pip install '{package}'."
