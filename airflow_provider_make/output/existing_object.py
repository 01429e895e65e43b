"""An object that exists already: whether to replace it, and what is lost if it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_make.exceptions import MakeInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

IF_EXISTS = ("replace", "skip", "fail")
# What identifies the pulls of one organization and time frame, in the metadata of a Parquet file.
_SAME_PULL = ("zone", "organization_id", "date_from", "date_to")


def parse_if_exists(value: Any) -> str:
    """
    Validate the ``if_exists`` argument.

    :param value: One of ``IF_EXISTS``.
    :return: The value.
    :raises MakeInputError: The value is another one.
    """
    if value not in IF_EXISTS:
        raise MakeInputError.expected("if_exists", value, f"one of {', '.join(IF_EXISTS)}")
    return str(value)


def check_existing(target: ObjectStoragePath, if_exists: str) -> None:
    """
    Follow ``if_exists`` for an object that may exist.

    :param target: The object's path.
    :param if_exists: One of ``IF_EXISTS``.
    :raises AirflowSkipException: The object exists, and is to be kept.
    :raises MakeInputError: The object exists, and that is an error.
    :raises OSError: The storage does not allow the check.
    """
    if if_exists == "replace":
        return
    try:
        # Not exists(), which is False for every error.
        target.fs.invalidate_cache()
        # In an object store, a folder may have the name of an object.
        is_folder = target.fs.info(target.path)["type"] == "directory"
    except FileNotFoundError:
        return
    if is_folder:
        return
    if if_exists == "skip":
        raise AirflowSkipException(f"{target} exists, and if_exists is 'skip'.")
    raise MakeInputError(f"{target} exists: expected no object there, because if_exists is 'fail'.")


def describe_replacement(target: ObjectStoragePath, summary: Mapping[str, Any]) -> str | None:
    """
    Compare a pull with the Parquet file that it replaces.

    :param target: The object's path.
    :param summary: The summary of the new pull.
    :return: A warning if the existing file is of another organization, or of the same organization and time frame with
        more rows; else None.
    """
    try:
        existing = _read_summary(target)
        if existing["organization_id"] != summary["organization_id"]:
            return (
                f"{target} had the figures of organization {int(existing['organization_id'])}, and was replaced by "
                f"those of organization {summary['organization_id']}. To keep both, put {{organization_id}} into "
                "output_path."
            )
        is_same = all(existing[name] == summary[name] for name in _SAME_PULL)
        lost = existing["row_count"] - summary["row_count"] if is_same else 0
    except Exception:
        # There is none, or it is another program's.
        return None
    if lost <= 0:
        return None
    return (
        f"{target} had {existing['row_count']} rows for this organization and time frame, and was replaced by "
        f"{summary['row_count']}. Make returns no figures of deleted scenarios, also for the past. To keep what was "
        "pulled first, set if_exists='skip'."
    )


def _read_summary(target: ObjectStoragePath) -> dict[str, Any]:
    from pyarrow.parquet import read_metadata

    with target.fs.open(target.path, "rb") as file:
        summary: dict[str, Any] = json.loads(read_metadata(file).metadata[b"make_analytics"])
    return summary
