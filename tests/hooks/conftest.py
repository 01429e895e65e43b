"""Shared by the tests of the hook."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_make.hooks.make import MakeHook
from airflow_provider_make.sandbox import Sandbox

Connect = Callable[..., MakeHook]


@pytest.fixture
def connect(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Return a function that creates a hook for the sandbox, with optional connection fields and extras."""
    hooks: list[MakeHook] = []

    def create(extra: dict[str, Any] | None = None, retries: tuple[int, float] = (5, 0.0), **fields: Any) -> MakeHook:
        connection = json.loads(make_sandbox.connection_json) | fields
        connection["extra"] = {"organization_id": 1, **(extra or {})}
        monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", json.dumps(connection))
        hooks.append(MakeHook("make_default", *retries))
        return hooks[-1]

    yield create
    for hook in hooks:
        hook.close()
