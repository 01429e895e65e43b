"""Fixtures for pytest: a running sandbox, or sandboxes with options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_provider_make.sandbox import Sandbox

# The fixtures import the sandbox themselves: pytest loads this module in every run where the provider is installed.


@pytest.fixture
def make_sandbox() -> Iterator[Sandbox]:
    """
    Start a sandbox with 250 scenarios in organization 1.

    :return: The running sandbox; it stops after the test.
    """
    from airflow_provider_make.sandbox import Sandbox

    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def make_sandbox_factory() -> Iterator[Callable[..., Sandbox]]:
    """
    Return a function that starts sandboxes.

    :return: A function that takes the arguments of :class:`~airflow_provider_make.sandbox.Sandbox` and returns the
        running sandbox; all of them stop after the test.
    """
    from airflow_provider_make.sandbox import Sandbox

    with ExitStack() as running:

        def start(**options: object) -> Sandbox:
            return running.enter_context(Sandbox(**options))  # type: ignore[arg-type]

        yield start
