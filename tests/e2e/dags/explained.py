"""Airflow Dags for tests: the examples that mail and post to Slack, with an organization and names of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

OWN = {
    "make_alert_mail": "explained_mail",
    "make_alert_slack": "explained_slack",
    "make_scenarios_failing": "explained_failing",
    "make_scenarios_with_errors": "explained_errors",
    "explain=True": 'explain=True, organization_id=14, make_conn_id="make_alerts"',
    "poke_interval=60.0": "poke_interval=2.0",
    "poke_interval=300.0": "poke_interval=2.0",
}

for name in ("make_alert_mail", "make_alert_slack"):
    source = Path(__file__).with_name(f"{name}.py").read_text()
    for old, new in OWN.items():
        source = source.replace(old, new)
    variables: dict[str, Any] = {"__name__": __name__}
    # The Dags belong to this file.
    exec(compile(source, __file__, "exec"), variables)
    globals()[OWN[name]] = variables["example"]
