"""The path of an object: its fields, its storage, and how it is written in logs."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from string import Formatter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_make.api.time_frame import TimeFrame, format_time
from airflow_provider_make.exceptions import MakeInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


_FIELDS = "{organization_id}, {zone}, {date_from:%Y-%m-%d} and {date_to:%Y-%m-%d}"


@dataclass(frozen=True)
class PathFields:
    """
    The values of the fields.

    :param organization_id: The organization.
    :param zone: The zone, or the host of a private instance.
    :param time_frame: The time frame of the pull.
    :param timezone: The time zone in which times are written.
    """

    organization_id: int
    zone: str
    time_frame: TimeFrame
    timezone: tzinfo

    def fill(self, output_path: Any) -> Any:
        """
        Fill the fields of a path.

        :param output_path: A path or URL; None for XCom. Fields are those of ``str.format``; those of times need a
            format for strftime. A brace itself is doubled.
        :return: The path with the fields filled; None for None.
        :raises MakeInputError: A field is unknown or malformed, or the pull has no value for it.
        """
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
        """
        Check whether the pull of the next time frame would have the same path, although the path has times.

        :param output_path: The path, with its fields.
        :return: Whether both have the same path; False for a path without times, which is meant to be replaced.
        """
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
    Validate the path or URL of an object.

    :param name: The argument, for the error.
    :param value: Its value.
    :param expectation: What would be right, for the error.
    :return: The URL, with its scheme in lower case, or an absolute path.
    :raises MakeInputError: The value is empty, is a folder or a bucket, is a malformed URL, or would be changed by
        ``ObjectStoragePath``.
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
    if url := _URL.fullmatch(location):
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
    """
    Split the location of an object.

    :param location: A URL, which may contain its connection id (``s3://aws_default@bucket/key``), or an absolute path.
    :return: Scheme, host or bucket, and the path with its slash; ``file``, empty, and the path for a local file.
    """
    # Without urllib: the name may contain # and ?.
    url = _URL.fullmatch(location)
    if not url:
        return "file", "", location
    host, slash, name = url[2].partition("/")
    return url[1], host.rpartition("@")[2], f"{slash}{name}"


def object_uri(location: str) -> str:
    """
    Return the asset URI of an object, which does not contain the connection.

    Airflow cuts off what follows a ``#``, sorts what follows a ``?``, and rejects non-ASCII characters. Therefore all
    characters that the path of a URI can't have are percent-encoded, and ``%`` itself.

    :param location: A URL, which may contain its connection id (``s3://aws_default@bucket/key``), or an absolute path.
    :return: The URL without the connection id; ``file://`` and the path for a local file.
    """
    scheme, host, path = split_location(location)
    return f"{scheme}://{quote(host, safe=':')}{quote(path, safe=_URI_PATH)}"


def resolve_object(name: str, location: str, storage_conn_id: str | None) -> ObjectStoragePath:
    """
    Resolve an object's storage, and the connection of the storage. The object itself need not exist.

    :param name: The argument, for the error.
    :param location: A URL or an absolute path.
    :param storage_conn_id: Airflow connection of the storage; None for the default connection of that storage.
    :return: The object's path, with its ``fs`` created.
    :raises MakeInputError: Airflow does not know the storage, or it can't be created.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(location, conn_id=storage_conn_id)
        _ = path.fs
    except (ValueError, ImportError) as error:
        advice = _storage_advice(split_location(location)[0])
        raise MakeInputError(f"{name}={location!r} can't be reached: {error}. {advice}") from error
    return path


def _storage_advice(scheme: str) -> str:
    known = _AIRFLOWS_SCHEME.get(scheme, scheme)
    package = _PACKAGES.get(known)
    if package is None:
        return "Expected a storage of an installed provider, such as s3://, gs:// or abfs://, or a local path."
    renamed = f"Airflow's scheme for this storage is {known}://. " if known != scheme else ""
    return f"{renamed}{known}:// needs a package: pip install '{package}'."
