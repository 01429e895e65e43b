"""A local HTTP server that imitates Make's analytics endpoint, for tests of Dags and for users without an account."""

from __future__ import annotations

from airflow_provider_make.sandbox.endpoint import RecordedRequest
from airflow_provider_make.sandbox.faults import Fault
from airflow_provider_make.sandbox.organization import Organization
from airflow_provider_make.sandbox.scenarios import Scenario
from airflow_provider_make.sandbox.server import Sandbox

__all__ = ["Fault", "Organization", "RecordedRequest", "Sandbox", "Scenario"]
