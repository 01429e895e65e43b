"""A triggerer that forks others, one at each SIGUSR1: they start at once, because it has imported and set up all."""

from __future__ import annotations

import os
import signal
from typing import Any
from unittest.mock import patch

import airflow.cli.commands.triggerer_command as command
from airflow import settings
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor

import airflow_provider_make.api.client  # noqa: F401

READY = "Ready to fork triggerers"
run = command.triggerer_run


def fork(*arguments: Any, **options: Any) -> None:
    """Replace what the command would run."""
    api = InProcessExecutionAPI()
    with (
        patch("airflow.jobs.triggerer_job_runner.in_process_api_server", lambda: api),
        # In the database, this is how one is found.
        patch("airflow.jobs.job.getuser", lambda: str(os.getpid())),
    ):
        # The first request takes longer than all imports.
        client = TriggerRunnerSupervisor.make_client(None)  # type: ignore[arg-type]
        client.connections.get("none")
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        print(READY, flush=True)
        while signal.sigwait([signal.SIGUSR1]) and os.fork():
            pass
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # The thread of the parent's client, and its connections, are not the child's.
        del api.transport
        assert settings.engine is not None
        settings.engine.dispose(close=False)
        run(*arguments, **options)


def install() -> None:
    """Let this process fork triggerers, instead of being one."""
    command.triggerer_run = fork
