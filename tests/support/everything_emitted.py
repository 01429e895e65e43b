"""A program for test_secrets: runs that succeed and fail, at log level DEBUG, without Airflow's masking."""

from __future__ import annotations

import json
import logging
import os
import pickle
import runpy
import sys
import traceback

from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import run_dag, secrets_maskers

# By fault, the number of requests that fail: as many as the operator tries.
FAULTS = {"401": 1, "403": 1, "redirect": 1, "503": 2, "reset": 2, "truncate": 2, "html": 2, "shape": 2}


def run(examples: str, name: str) -> None:
    """Run an example Dag once, without delays, and print its state and results."""
    example = runpy.run_path(f"{examples}/{name}.py")["example"]
    for task in example.tasks:
        task.retries, task.api_retry_limit, task.api_retry_delay = 0, 2, 0.0
    run = run_dag(example)
    print("STATE", name, run.state)
    for task in run.get_task_instances():
        print(task.task_id, task.xcom_pull(task_ids=task.task_id))


def main(examples: str, token: str) -> None:
    """Run Dags and hooks in all ways that could show the token."""
    logging.basicConfig(level=logging.DEBUG)
    with Sandbox(token=token, scenarios=50) as sandbox:
        os.environ["AIRFLOW_CONN_MAKE_DEFAULT"] = sandbox.connection_json

        from airflow.utils.db import initdb

        from airflow_provider_make.hooks.make import MakeHook

        for masker in secrets_maskers():
            masker.add_mask = lambda *_: None
        initdb()
        run(examples, "make_analytics_to_xcom")
        run(examples, "make_analytics_daily")
        for fault, tries in FAULTS.items():
            sandbox.fail(*[fault] * tries)
            run(examples, "make_analytics_daily")

        hook = MakeHook(api_retry_limit=1)
        print(hook, vars(hook), hook.test_connection(), hook.settings, hook.get_conn())
        valid = json.loads(sandbox.connection_json)
        for invalid in (
            {"host": "http://eu1.make.com"},
            {"host": "x y"},
            {"host": "", "extra": {"zone": 1}},
            {"password": f"{token}\n"},
            {"password": f"{token}é"},
            {"host": token},
            {"host": "", "extra": {"zone": f"Token {token.upper()}"}},
            {"extra": {"auth_scheme": token}},
            {"extra": {"organization_id": token, token: token}},
            {"extra": {token: 1}},
            {"password": "another-token", "host": token},
        ):
            os.environ["AIRFLOW_CONN_MAKE_DEFAULT"] = json.dumps(valid | invalid)
            print(MakeHook().test_connection())
            try:
                MakeHook().get_analytics_page()
            except ValueError as error:
                traceback.print_exc()
                print(repr(error), vars(error), pickle.dumps(error))
    print("END")


if __name__ == "__main__":
    main(*sys.argv[1:])
