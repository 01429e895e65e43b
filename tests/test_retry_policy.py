"""The delay before Airflow retries a task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_make.api.errors import error_from_response
from airflow_provider_make.exceptions import MakeApiError, MakeInputError, MakeRateLimitError, MakeServerError
from airflow_provider_make.retry_policy import MakeRetryPolicy
from airflow_provider_make.sandbox import Sandbox
from tests.support.airflow_versions import HAS_RETRY_POLICIES, NATIVE, load_dag, run_dag

needs_policies = pytest.mark.skipif(not HAS_RETRY_POLICIES, reason="retry policies came with Airflow 3.3")
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.mark.skipif(HAS_RETRY_POLICIES, reason="Airflow 3.3 has them")
def test_error_before_airflow_3_3_names_the_required_version() -> None:
    with pytest.raises(MakeInputError, match=r"3\.3"):
        MakeRetryPolicy()


@needs_policies
@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (MakeRateLimitError("limit", status_code=429, retry_after=17.5), 17.5),
        (MakeServerError("down", status_code=503, retry_after=0.0), 0.0),
        (MakeRateLimitError("limit", status_code=429), 60.0),
        (error_from_response(503, {"retry-after": "9" * 400}, b"", secret="token", now=MIDNIGHT), 600.0),
    ],
)
def test_delay_is_makes_retry_after(error: MakeApiError, delay: float) -> None:
    decision = MakeRetryPolicy().evaluate(error, 1, 3)
    assert (decision.action.value, decision.retry_delay) == ("retry", timedelta(seconds=delay))
    assert decision.reason == f"Make accepts requests again after {delay:g} s."


@needs_policies
@pytest.mark.parametrize("error", [MakeServerError("down", status_code=503), ValueError("x"), KeyboardInterrupt()])
def test_other_errors_get_airflows_default(error: BaseException) -> None:
    assert MakeRetryPolicy().evaluate(error, 1, 3).action.value == "default"


@needs_policies
def test_policy_can_be_serialized() -> None:
    assert isinstance(MakeRetryPolicy.deserialize(MakeRetryPolicy().serialize()), MakeRetryPolicy)


@needs_policies
@pytest.mark.usefixtures("airflow_database")
def test_task_is_retried_after_makes_retry_after(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    make_sandbox.fail("429:2", "429:1")
    assert str(run_dag(load_dag(NATIVE, "waits"), MIDNIGHT).state) == "success"
    first, second, third = (request.arrived_at for request in make_sandbox.requests)
    assert second - first >= 2
    assert third - second >= 1
