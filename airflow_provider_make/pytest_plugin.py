"""Fixtures for pytest: a running sandbox, or sandboxes with options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_make.sandbox import Sandbox

# The sandbox is imported where it is used: pytest loads this module in every run where the provider is installed.


@pytest.fixture
def make_sandbox() -> Iterator[Sandbox]:
    """
    Give a running sandbox with 250 scenarios of organization 1.

    :return: The sandbox; it stops after the test.
    """
    from airflow_provider_make.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def make_sandbox_factory() -> Iterator[Callable[..., Sandbox]]:
    """
    Give a function that starts sandboxes.

    :return: Takes the arguments of :class:`~airflow_provider_make.sandbox.Sandbox` and returns it running;
        what it started stops after the test.
    """
    from airflow_provider_make.sandbox import Sandbox

    with ExitStack() as running:

        def start(**options: object) -> Sandbox:
            return running.enter_context(Sandbox(**options))  # type: ignore[arg-type]

        yield start
