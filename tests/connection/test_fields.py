"""The fields of the connection form, and their validation as extras."""

from __future__ import annotations

import json

import jsonschema  # type: ignore[import-untyped]
import pytest
from airflow.models.connection import Connection

from airflow_provider_make.connection.form import AUTH_SCHEMES, CONNECTION_FIELDS, ZONES
from airflow_provider_make.connection.settings import ConnectionSettings
from airflow_provider_make.exceptions import MakeInputError

FIELDS = CONNECTION_FIELDS


def test_form_has_the_documented_extras() -> None:
    documented = {"zone", "organization_id", "auth_scheme", "requests_per_minute"}
    assert set(FIELDS) == documented | {"verify", "proxies", "cert", "timeout", "trust_env"}
    assert FIELDS["zone"]["schema"]["enum"] == list(ZONES)
    assert FIELDS["auth_scheme"]["schema"]["enum"] == list(AUTH_SCHEMES)


@pytest.mark.parametrize("name", FIELDS)
def test_every_form_field_is_a_validated_extra(name: str) -> None:
    extra = {"zone": ZONES[0], name: {"no": ["such", "value"]}}
    with pytest.raises(MakeInputError, match=name):
        ConnectionSettings.from_airflow(Connection("c", "make", password="t", extra=json.dumps(extra)))


@pytest.mark.parametrize("name", FIELDS)
def test_every_form_field_may_be_saved_empty(name: str) -> None:
    jsonschema.validate(None, {"type": FIELDS[name]["schema"]["type"]})
    assert "default" not in FIELDS[name]["schema"]
