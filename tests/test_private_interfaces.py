"""The private parts of other libraries that the package uses, on their real classes: one that goes fails here."""

from __future__ import annotations

import inspect

import fsspec.asyn
import pytest

from airflow_provider_make.triggers.watcher_state import WatcherState
from tests.support.airflow_versions import VERSION


@pytest.mark.skipif(VERSION < (3, 3), reason="asset state stores came with Airflow 3.3")
def test_airflows_store_of_several_assets_has_one_store_for_each() -> None:
    from airflow.sdk import Asset
    from airflow.sdk.definitions.asset import AssetUriRef
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    store = AssetStateStoreAccessors([Asset("first"), Asset("second"), AssetUriRef("make://third")])
    assert len(WatcherState(store, {})._stores) == 3
    # Without a name, the public methods refuse: this is why the private ones are used.
    with pytest.raises(ValueError, match="3"):
        store.get("key")


def test_fsspec_uploads_with_the_method_that_is_inspected_for_overwrite() -> None:
    parameters = inspect.signature(fsspec.asyn.AsyncFileSystem._put_file).parameters
    assert list(parameters)[:3] == ["self", "lpath", "rpath"]
