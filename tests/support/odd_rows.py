"""Stored triggers as another version of the provider, of Airflow, or a person may have left them."""

from __future__ import annotations

from typing import Any

RULE: dict[str, Any] = {"threshold": 5, "metric": "error_rate"}
# Stored arguments that differ from those of a valid trigger (...: that it lacks), and what the error says. A real
# triggerer gets the first six.
INVALID_ROWS: list[tuple[dict[str, Any], str]] = [
    ({"metric": "duration"}, "metric='duration' is not valid"),
    ({"colour": "blue"}, "has the unknown argument 'colour'"),
    ({"threshold": ...}, "lacks the argument 'threshold'"),
    ({"team_id": ["x"] * 100_000}, "team_id="),
    ({"since": 7}, "since=7 is not valid"),
    ({"shape": "round", "stored_version": 99}, "has the unknown argument 'shape' (version 99 of its arguments"),
    ({"status": "frozenset({'active'})"}, "status="),
    ({"threshold": None}, "threshold=None is not valid"),
    ({"lookback": {"unit": "hours"}}, "lookback="),
    ({"poke_interval": "soon"}, "poke_interval='soon' is not valid"),
    ({"api_retry_limit": {}}, "api_retry_limit={} is not valid"),
    ({"make_conn_id": None}, "make_conn_id=None is not valid"),
    ({"explain": "yes"}, "explain='yes' is not valid"),
    ({"explain": True, "metric": "credits"}, "explain=True is not valid"),
    ({"metric": ..., "a": 1}, "has the unknown argument 'a' and lacks the argument 'metric'"),
]


def odd_row(arguments: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the stored arguments of a trigger with changes."""
    return {name: value for name, value in {**arguments, **changes}.items() if value is not ...}
