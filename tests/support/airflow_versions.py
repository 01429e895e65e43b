"""What the tests need of Airflow under names that differ between its versions."""

from __future__ import annotations

import importlib
import inspect
import runpy
from datetime import datetime
from pathlib import Path
from typing import Any

import airflow

VERSION = tuple(int(part) for part in airflow.__version__.split(".")[:2])
HAS_WATCHERS = VERSION >= (3, 0)
HAS_PARTITIONS = HAS_RETRY_POLICIES = VERSION >= (3, 3)


def find(name: str, *modules: str) -> Any:
    """The first of some modules' things of a name."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"no {name} in {', '.join(modules)}")


NATIVE = Path(__file__).parents[1] / "dags" / "native.py"
AirflowRescheduleException = find("AirflowRescheduleException", "airflow.sdk.exceptions", "airflow.exceptions")


def dag_bag(folder: Any) -> Any:
    """All Dags of a folder."""
    kind = find("DagBag", "airflow.dag_processing.dagbag", "airflow.models.dagbag")
    options = {"include_examples": False} if "include_examples" in inspect.signature(kind).parameters else {}
    return kind(folder, **options)


def load_dag(path: Path, name: str) -> Any:
    """One of the Dags of a file."""
    return runpy.run_path(str(path))[name]


def run_dag(dag: Any, logical_date: datetime | None = None) -> Any:
    """Run a Dag once in this process."""
    if VERSION == (3, 0):
        # There a Dag's test does not make its assets known.
        bundles = find("DagBundlesManager", "airflow.dag_processing.bundles.manager")()
        bundles.sync_bundles_to_db()
        serialized = find("SerializedDAG", "airflow.serialization.serialized_objects")
        known = serialized.deserialize_dag(serialized.serialize_dag(dag))
        find("DAG", "airflow.models.dag").bulk_write_to_db("tests", None, [known])
    name = "logical_date" if VERSION >= (3, 0) else "execution_date"
    return dag.test(**({} if logical_date is None else {name: logical_date}))


def waits_for_assets(dag: Any) -> bool:
    """Whether assets start a Dag; on Airflow 2 they are datasets."""
    return type(dag.timetable).__name__ in ("AssetTriggeredTimetable", "DatasetTriggeredTimetable")


def secrets_maskers() -> list[Any]:
    """The classes that mask secrets in logs."""
    places = (
        "airflow._shared.secrets_masker",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    )
    found = []
    for place in places:
        try:
            found.append(find("SecretsMasker", place))
        except ImportError:
            continue
    assert found, places
    return found
