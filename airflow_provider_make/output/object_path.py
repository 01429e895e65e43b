"""Paths and URLs of objects, as users write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow_provider_make.exceptions import MakeInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def read_location(name: str, value: Any, expectation: str) -> str:
    """
    Read the path or URL of an object.

    :param name: The argument, for the error.
    :param value: What the user gave.
    :param expectation: What would be right, for the error.
    :return: The URL, or an absolute path.
    :raises MakeInputError: There is no path, or one that a shell would have to complete.
    """
    location = "" if value is None else str(value)
    if not location.strip() or location.startswith("~"):
        raise MakeInputError.expected(name, value, expectation)
    # Some versions of Airflow take a relative path to begin at the root.
    return location if "://" in location else os.path.abspath(location)


def object_uri(location: str) -> str:
    """
    Name an object as an asset: by what it is, not by how it is reached.

    :param location: A URL, which may name its connection (``s3://aws_default@bucket/key``), or an absolute path.
    :return: The URL without the connection; ``file://`` and the path.
    """
    # Not by urllib: a name may have # and ?.
    scheme, _, rest = (location if "://" in location else f"file://{location}").partition("://")
    host, slash, name = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{name}"


def find_object(name: str, location: str, storage_conn_id: str | None) -> ObjectStoragePath:
    """
    Look up the storage of an object, and so its connection; the object itself need not be there.

    :param name: The argument that has the location, for the error.
    :param location: A URL or an absolute path.
    :param storage_conn_id: Airflow connection of the storage; None for the storage's own default.
    :return: The object's path, whose ``fs`` is there.
    :raises MakeInputError: Airflow has no such storage.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    try:
        path = ObjectStoragePath(location, conn_id=storage_conn_id)
        _ = path.fs
    except (ValueError, ImportError) as error:
        raise MakeInputError(f"{name}={location!r} can't be reached: {error}.") from error
    return path
