"""Parts of Airflow whose names or modules differ between its versions."""

from __future__ import annotations

import importlib
import inspect
import json
import runpy
from datetime import datetime
from pathlib import Path
from typing import Any

import airflow

VERSION = tuple(int(part) for part in airflow.__version__.split(".")[:2])
HAS_WATCHERS = VERSION >= (3, 0)
HAS_PARTITIONS = HAS_RETRY_POLICIES = VERSION >= (3, 3)


def find(name: str, *modules: str) -> Any:
    """Return the object with this name, from the first module that has it."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"no {name} in {', '.join(modules)}")


NATIVE = Path(__file__).parents[1] / "dags" / "native.py"
AirflowRescheduleException = find("AirflowRescheduleException", "airflow.sdk.exceptions", "airflow.exceptions")


def encode_watcher(class_path: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Encode the arguments of a watcher's trigger as the Dag processor does: with its Dag, and again from that."""
    encode: Any = find_encode_trigger()
    serialized = json.loads(json.dumps(encode({"classpath": class_path, "kwargs": arguments})))
    encoded = encode({"classpath": class_path, "kwargs": decode_argument(serialized["kwargs"])})["kwargs"]
    return json.loads(json.dumps(encoded))  # type: ignore[no-any-return]


def find_encode_trigger() -> Any:
    """Return Airflow's function that encodes a trigger."""
    try:
        return find("encode_trigger", "airflow.serialization.encoders")
    except ImportError:
        return find("_encode_trigger", "airflow.serialization.serialized_objects")


def decode_argument(value: Any) -> Any:
    """Decode a stored argument as the triggerer does before it calls the trigger's constructor."""
    if not HAS_WATCHERS:
        return value
    modules = ("airflow.serialization.decoders", "airflow.serialization.serialized_objects")
    return find("smart_decode_trigger_kwargs", *modules)(value)


def dag_bag(folder: Any) -> Any:
    """Parse all Dags of a folder."""
    dag_bag_class = find("DagBag", "airflow.dag_processing.dagbag", "airflow.models.dagbag")
    options = {"include_examples": False} if "include_examples" in inspect.signature(dag_bag_class).parameters else {}
    return dag_bag_class(folder, **options)


def load_dag(path: Path, name: str) -> Any:
    """Load one Dag from a file."""
    return runpy.run_path(str(path))[name]


def run_dag(dag: Any, logical_date: datetime | None = None) -> Any:
    """Run a Dag once in this process."""
    if VERSION == (3, 0):
        # On Airflow 3.0, dag.test() does not register the Dag's assets.
        bundles = find("DagBundlesManager", "airflow.dag_processing.bundles.manager")()
        bundles.sync_bundles_to_db()
        serialized = find("SerializedDAG", "airflow.serialization.serialized_objects")
        deserialized = serialized.deserialize_dag(serialized.serialize_dag(dag))
        find("DAG", "airflow.models.dag").bulk_write_to_db("tests", None, [deserialized])
    if VERSION < (3, 0):
        # Nor does it on Airflow 2.
        dag.sync_to_db()
    argument = "logical_date" if VERSION >= (3, 0) else "execution_date"
    return dag.test(**({} if logical_date is None else {argument: logical_date}))


def is_triggered_by_assets(dag: Any) -> bool:
    """Return whether assets (on Airflow 2: datasets) trigger a Dag."""
    return type(dag.timetable).__name__ in ("AssetTriggeredTimetable", "DatasetTriggeredTimetable")


def secrets_maskers() -> list[Any]:
    """Return the classes that mask secrets in logs."""
    modules = (
        "airflow._shared.secrets_masker",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    )
    maskers = []
    for module in modules:
        try:
            maskers.append(find("SecretsMasker", module))
        except ImportError:
            continue
    assert maskers, modules
    return maskers
