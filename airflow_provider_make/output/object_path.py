"""Paths and URLs of objects: validated, resolved to a storage, and named as assets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow_provider_make.exceptions import MakeInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath


def parse_object_path(name: str, value: Any, expectation: str) -> str:
    """
    Validate the path or URL of an object.

    :param name: The argument, for the error.
    :param value: Its value.
    :param expectation: What would be right, for the error.
    :return: The URL, or an absolute path.
    :raises MakeInputError: The value is empty, or begins with ``~``, which only a shell expands.
    """
    location = "" if value is None else str(value)
    if not location.strip() or location.startswith("~"):
        raise MakeInputError.expected(name, value, expectation)
    # Some versions of Airflow resolve a relative path against the root folder.
    return location if "://" in location else os.path.abspath(location)


def object_uri(location: str) -> str:
    """
    Return the asset URI of an object, which does not contain the connection.

    :param location: A URL, which may contain its connection id (``s3://aws_default@bucket/key``), or an absolute path.
    :return: The URL without the connection id; ``file://`` and the path for a local file.
    """
    # Without urllib: the name may contain # and ?.
    scheme, _, rest = (location if "://" in location else f"file://{location}").partition("://")
    host, slash, name = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{name}"


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
        raise MakeInputError(f"{name}={location!r} can't be reached: {error}.") from error
    return path
