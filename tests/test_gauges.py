"""The gauges of pulls and polls: which ones, and what reaches backends over real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat import sdk
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.exceptions import MakeInputError
from airflow_provider_make.gauges import LEVELS, Gauge, Gauges, TeamTotals, describe_omission, parse_level, set_gauges
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.sandbox import Sandbox
from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor
from airflow_provider_make.thresholds.check import ThresholdCheck
from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger, MakeAnalyticsTrigger
from tests.support.airflow_versions import HAS_WATCHERS, VERSION
from tests.support.documents import ROOT, blocks, tables
from tests.support.metrics_receivers import StatsDServer, collector
from tests.support.time_frames import LAST_WEEK

PAGE = ROOT / "docs" / "metrics.md"
FIGURES = ("executions", "operations", "credits", "errors", "error_rate")
TOTAL = Metrics(executions=200, operations=1000, centicredits="12345", errors=3, error_rate=1.5)
COUNTS = st.integers(0, 2**63 - 1)


def choose(level: str | None, filters: Mapping[str, Any], total: Metrics, **teams: Metrics) -> dict[str, float]:
    gauges = Gauges(level, 42, "eu1.make.com", filters)
    by_team = {int(name.removeprefix("team_")): figures for name, figures in teams.items()}
    return {gauge.name_with_ids: gauge.value for gauge in gauges.of_figures(total, by_team)}


@contextmanager
def recorded() -> Iterator[dict[str, float]]:
    """Record the gauges that this process sets, in place of Airflow's metrics."""
    values: dict[str, float] = {}

    class Stats:
        @staticmethod
        def gauge(name: str, value: float, *, tags: dict[str, str]) -> None:
            values[name] = value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdk, "Stats", Stats, raising=False)
        yield values


@pytest.fixture
def connected(make_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("AIRFLOW_CONN_MAKE_DEFAULT", make_sandbox.connection_json)
    make_sandbox.organization().set_counts(100, 50)
    return make_sandbox


def pull(**arguments: Any) -> dict[str, Any]:
    summary: dict[str, Any] = MakeAnalyticsOperator(task_id="pull", **LAST_WEEK, **arguments).execute({})
    return summary


def poke(**arguments: Any) -> dict[str, Any]:
    sensor = MakeAnalyticsSensor(task_id="wait", **{"threshold": 5, "metric": "error_rate", **arguments})
    result: dict[str, Any] = sensor.execute({})
    return result


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def pulling(sandbox: Sandbox, environment: Mapping[str, str], *organizations: int) -> Iterator[subprocess.Popen[str]]:
    """Pull in a process of its own, which ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.pull_with_gauges", *map(str, organizations or [1])],
        env={**os.environ, "AIRFLOW_CONN_MAKE_DEFAULT": sandbox.connection_json, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
        output, _ = process.communicate(timeout=100)
        assert process.returncode == 0, output
    finally:
        process.kill()
        process.wait()


def test_gauges_of_an_organization_have_ids_as_tags_and_at_the_end_of_the_second_name() -> None:
    gauges = Gauges("organization", 42, "eu1.make.com", {}).of_figures(TOTAL, {})
    assert {gauge.name: gauge.value for gauge in gauges} == {
        "make.organization.executions": 200,
        "make.organization.operations": 1000,
        "make.organization.credits": 123.45,
        "make.organization.errors": 3,
        "make.organization.error_rate": 1.5,
    }
    assert {gauge.name_with_ids for gauge in gauges} == {f"{gauge.name}.42" for gauge in gauges}
    assert all(gauge.tags == {"organization_id": "42", "zone": "eu1.make.com"} for gauge in gauges)
    team = Gauge("make.team.errors", 1, {"organization_id": 42, "team_id": 7}, "127.0.0.1:8080")
    assert team.name_with_ids == "make.team.errors.42.7"
    # A colon would end the name in StatsD's format.
    assert team.tags == {"organization_id": "42", "team_id": "7", "zone": "127.0.0.1_8080"}


def test_absent_figures_set_no_gauge_and_no_executions_have_no_error_rate() -> None:
    assert choose("organization", {}, Metrics()) == {}
    assert choose("organization", {}, Metrics(executions=0, error_rate=0.0)) == {"make.organization.executions.42": 0}
    assert choose("organization", {}, Metrics(centicredits="9" * 999))["make.organization.credits.42"] > 1e300


@pytest.mark.parametrize(
    ("level", "filters", "kinds"),
    [
        (None, {}, set()),
        ("organization", {}, {"organization"}),
        ("team", {}, {"organization", "team"}),
        # Not the organization's.
        ("organization", {"team_id": [7]}, set()),
        ("team", {"team_id": [7]}, {"team"}),
        ("team", {"team_id": [7, 8]}, {"team"}),
        # Not even those of a team.
        *((level, {"folder_id": [1], "team_id": [7]}, set()) for level in LEVELS),
        *((level, {"status": ["active"]}, set()) for level in LEVELS),
    ],
)
def test_figures_that_are_not_whole_set_no_gauges(level: str | None, filters: dict[str, Any], kinds: set[str]) -> None:
    names = choose(level, filters, TOTAL, team_7=TOTAL, team_8=TOTAL)
    assert {name.split(".")[1] for name in names} == kinds
    missing = {None: set(), "organization": {"organization"}, "team": {"team"}}[level] - kinds
    assert (describe_omission(level, filters, reads_scenarios=True) is not None) == bool(missing)


def test_the_total_of_one_team_is_that_of_the_team() -> None:
    names = choose("team", {"team_id": [7]}, TOTAL)
    assert names == {f"make.team.{name}.42.7": value for name, value in zip(FIGURES, names.values(), strict=True)}
    assert choose("team", {"team_id": [7, 8]}, TOTAL) == {}
    assert describe_omission("team", {"team_id": [7]}, reads_scenarios=False) is None
    for filters in ({"team_id": [7, 8]}, {}):
        assert "reads no scenarios" in str(describe_omission("team", filters, reads_scenarios=False))


@given(st.lists(st.tuples(st.integers(1, 3), COUNTS, COUNTS, COUNTS, st.integers(0, 10**30)), max_size=8))
def test_totals_of_teams_are_sums_that_opentelemetry_can_export(rows: list[tuple[int, ...]]) -> None:
    totals = TeamTotals()
    totals.add([ScenarioMetrics(scenario_id=1, team_id=1, executions=9)])
    # Another pass begins.
    totals.restart()
    for team_id, executions, operations, errors, centicredits in rows:
        totals.add([
            ScenarioMetrics(
                scenario_id=1,
                team_id=team_id,
                executions=executions,
                operations=operations,
                errors=errors,
                centicredits=str(centicredits),
            ),
            ScenarioMetrics(scenario_id=2, executions=5),
        ])  # fmt: skip
    figures = totals.figures()
    assert figures.keys() == {row[0] for row in rows}
    for team_id, total in figures.items():
        sums = [sum(column) for column in zip(*(row[1:] for row in rows if row[0] == team_id), strict=True)]
        assert [total.executions, total.operations, total.errors, int(total.centicredits or 0)] == sums
        assert total.error_rate == (100 * sums[2] / sums[0] if sums[0] else None)
    gauges = Gauges("team", 1, "eu1.make.com", {}).of_figures(Metrics(), figures)
    assert all(isinstance(gauge.value, float) for gauge in gauges)


def test_a_figure_that_one_scenario_lacks_is_not_known_of_its_team() -> None:
    totals = TeamTotals()
    totals.add([
        ScenarioMetrics(scenario_id=1, team_id=7, executions=5, errors=1, operations=3),
        ScenarioMetrics(scenario_id=2, team_id=7, executions=5, errors=None, operations=4),
    ])  # fmt: skip
    totals.add([ScenarioMetrics(scenario_id=3, team_id=7, executions=5, errors=1, operations=4)])
    assert totals.figures() == {7: Metrics(executions=15, operations=11)}


@pytest.mark.parametrize("value", ["teams", "Team", "", True, 1, ["team"]])
def test_other_values_are_errors_that_name_the_allowed_ones(value: Any, connected: Sandbox) -> None:
    text = re.escape(f"emit_metrics={value!r} is not valid: expected one of organization, team, or None")
    with pytest.raises(MakeInputError, match=text):
        parse_level(value)
    with pytest.raises(MakeInputError, match=text):
        pull(emit_metrics=value)
    with pytest.raises(MakeInputError, match=text):
        MakeAnalyticsSensor(task_id="wait", threshold=5, metric="errors", emit_metrics=value)
    if HAS_WATCHERS:
        with pytest.raises(MakeInputError, match=text):
            MakeAnalyticsEventTrigger(threshold=5, metric="errors", emit_metrics=value)
    assert connected.requests == []


def test_default_args_reach_operators_and_sensors() -> None:
    with sdk.DAG("with_gauges", schedule=None, default_args={"emit_metrics": "team"}):
        operator = MakeAnalyticsOperator(task_id="pull")
        sensor = MakeAnalyticsSensor(task_id="wait", threshold=5, metric="errors")
    assert (operator.emit_metrics, sensor.emit_metrics) == ("team", "team")


def test_a_pull_sets_the_gauges_of_its_summary_and_of_itself(connected: Sandbox) -> None:
    with recorded() as gauges:
        summary = pull(emit_metrics="team", page_size=100)
    total = summary["total"]
    assert gauges["make.organization.executions"] == gauges["make.organization.executions.1"] == total["executions"]
    assert gauges["make.organization.error_rate.1"] == total["error_rate"] == 50.0
    assert (gauges["make.pull.rows.1"], gauges["make.pull.requests.1"]) == (250, summary["requests"])
    assert gauges["make.pull.seconds.1"] > 0
    by_team = [name for name in gauges if re.fullmatch(r"make\.team\.executions\.1\.\d+", name)]
    assert {name.rsplit(".", 1)[1] for name in by_team} == {str(row["team_id"]) for row in summary["rows"]}
    assert sum(gauges[name] for name in by_team) == total["executions"]


def test_without_emit_metrics_there_are_no_gauges_and_no_import(connected: Sandbox) -> None:
    with recorded() as gauges:
        pull()
        poke()
    assert gauges == {}
    code = "import sys, airflow_provider_make.operators.analytics as o, airflow_provider_make.sensors.analytics as s\n"
    code += "o.MakeAnalyticsOperator(task_id='a', emit_metrics='team')\n"
    code += "assert not [name for name in sys.modules if name.split('.')[0] == 'statsd']"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_filtered_pull_sets_only_its_own_gauges_and_says_so(
    connected: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tests.pull")
    monkeypatch.setattr(MakeAnalyticsOperator, "log", logging.getLogger("tests.pull"))
    with recorded() as gauges:
        pull(emit_metrics="team", status="active")
    assert {name.split(".")[1] for name in gauges} == {"pull"}
    assert "emit_metrics='team' sets no gauges of figures with status: some scenarios are left out." in caplog.text


@pytest.mark.parametrize("scope", ["organization", "scenario"])
def test_a_poke_sets_the_gauges_of_the_organization_in_each_scope(scope: str, connected: Sandbox) -> None:
    with recorded() as gauges:
        result = poke(scope=scope, emit_metrics="organization")
    # Those of all 250 scenarios, although paging stops early.
    assert gauges == {
        f"make.organization.{name}{suffix}": result["total"].get(name, int(result["total"]["centicredits"]) / 100)
        for name in FIGURES
        for suffix in ("", ".1")
    }


def test_gauges_of_teams_are_of_all_scenarios_also_where_one_page_would_do(connected: Sandbox) -> None:
    rule: dict[str, Any] = {"scope": "scenario", "threshold": 99, "comparison": "<", "min_executions": 0}
    with recorded() as gauges:
        poke(**rule, emit_metrics="team")
    with recorded() as of_trigger:
        asyncio.run(wait_for_event(MakeAnalyticsTrigger(**rule, metric="error_rate", emit_metrics="team")))
    assert gauges.keys() == of_trigger.keys()
    # Operations and credits go on between the two requests.
    for name in gauges:
        if name.split(".")[2] in ("executions", "errors", "error_rate"):
            assert gauges[name] == of_trigger[name], name
    by_team = [value for name, value in gauges.items() if re.fullmatch(r"make\.team\.executions\.1\.\d+", name)]
    assert sum(by_team) == gauges["make.organization.executions"] == 250 * 100


async def wait_for_event(trigger: Any) -> Any:
    trigger.poke_interval = 0.05
    async for event in trigger.run():
        return event.payload


@pytest.mark.skipif(not HAS_WATCHERS, reason="watchers came with Airflow 3.0")
def test_watchers_that_share_a_poll_set_gauges_if_they_ask_for_them(connected: Sandbox) -> None:
    rule: dict[str, Any] = {"threshold": 5, "metric": "error_rate"}
    quiet, loud = (MakeAnalyticsEventTrigger(**rule, emit_metrics=level) for level in (None, "organization"))
    assert quiet.shared_stream_key() == loud.shared_stream_key()
    # What is stored for earlier versions stays.
    assert len({json.dumps(ThresholdCheck.from_arguments(watcher).identity()) for watcher in (quiet, loud)}) == 1
    with recorded() as gauges:
        asyncio.run(asyncio.wait_for(wait_for_event(quiet), 30))
        assert gauges == {}
        asyncio.run(asyncio.wait_for(wait_for_event(loud), 30))
    assert gauges["make.organization.error_rate.1"] == 50.0


def test_a_backend_that_raises_is_a_line_in_the_log(connected: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    class Stats:
        @staticmethod
        def gauge(*arguments: Any, **tags: Any) -> None:
            raise OSError("no route to host")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdk, "Stats", Stats, raising=False)
        assert pull(emit_metrics="team")["row_count"] == 250
        assert poke(emit_metrics="team")["value"] == 50.0
        set_gauges(Gauges("team", 1, "eu1.make.com", {}).of_figures(TOTAL, {}), logging.getLogger("tests"))
    assert "The gauges of emit_metrics could not be set: OSError: no route to host" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"AIRFLOW__METRICS__STATSD_ON": "True", "AIRFLOW__METRICS__STATSD_HOST": "no-such-host.invalid"},
        {"AIRFLOW__METRICS__OTEL_ON": "True", "AIRFLOW__METRICS__OTEL_PORT": "9"},
        # Its package is not installed.
        {"AIRFLOW__METRICS__STATSD_DATADOG_ENABLED": "True"},
    ],
)
def test_a_pull_succeeds_while_the_backend_is_down_or_missing(
    environment: dict[str, str], make_sandbox: Sandbox
) -> None:
    with pulling(make_sandbox, {"OTEL_EXPORTER_OTLP_TIMEOUT": "1", **environment}):
        pass


def test_gauges_in_the_format_of_statsd(make_sandbox_factory: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox_factory(scenarios=30, organizations={2: 20})
    sandbox.organization(1).set_counts(1000, 50)
    sandbox.organization(2).set_counts(100, 1)
    with StatsDServer() as statsd, pulling(sandbox, statsd.environment, 1, 2):
        wait_for(lambda: "make.pull.seconds.2" in statsd.gauges())
    # Plain StatsD has no tags: the name tells the organizations apart.
    assert "airflow.make.organization.error_rate.1:5.0|g" in statsd.lines
    assert "airflow.make.organization.error_rate.2:1.0|g" in statsd.lines
    assert "airflow.make.pull.rows.1:30.0|g" in statsd.lines
    check_names_in_prometheus(to_prometheus(statsd.gauges()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        (
            {"METRICS_ALLOW_LIST": "scheduler,make.", "STATSD_INFLUXDB_ENABLED": "True"},
            {
                f"make.{kind}{tags}"
                for kind in ("organization.errors", "pull.rows")
                for tags in (",organization_id=1,zone=127.0.0.1_PORT", ".1,zone=127.0.0.1_PORT")
            },
        ),
        ({"METRICS_BLOCK_LIST": "make.pull", "LEGACY_NAMES_ON": "False"}, {"make.organization.errors"}),
    ],
)
def test_the_settings_of_the_deployment_apply(settings: dict[str, str], sent: set[str], make_sandbox: Sandbox) -> None:
    environment = {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}
    with StatsDServer() as statsd, pulling(make_sandbox, {**statsd.environment, **environment}):
        pass
    names = {re.sub(r"_\d{4,}$", "_PORT", name) for name in statsd.gauges()}
    assert {name for name in names if name.startswith(("make.organization.errors", "make.pull.rows"))} == sent


def test_gauges_over_otlp(make_sandbox_factory: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox_factory(scenarios=30, organizations={2: 20})
    sandbox.organization(1).set_counts(1000, 50)
    with collector() as received:
        environment = {**received.environment, "AIRFLOW__METRICS__OTEL_INTERVAL_MILLISECONDS": "200"}
        with pulling(sandbox, environment, 1, 2):
            wait_for(lambda: any(name == "make.pull.seconds.2" for name, _ in list(received.gauges)))
    values = {(name, dict(tags).get("organization_id")): value for (name, tags), value in received.gauges.items()}
    assert values["make.organization.error_rate.1", None] == values["make.organization.error_rate", "1"] == 5.0
    assert values["make.pull.rows.1", None] == 30.0
    assert values["make.pull.rows.2", None] == 20.0
    if VERSION >= (3, 0):
        # Airflow 2.11 keeps only the first tags of each name in a process.
        assert values["make.pull.rows", "2"] == 20.0


def to_prometheus(gauges: Mapping[str, float]) -> str:
    """Do what a StatsD exporter does with the mapping in the documentation: return Prometheus' text."""
    (mapping,) = [block.text for block in blocks(PAGE) if block.text.startswith("mappings:")]
    lines = []
    for name, value in ((f"airflow.{name}", value) for name, value in gauges.items()):
        rule = next((rule for rule in yaml.safe_load(mapping)["mappings"] if matches(rule["match"], name)), None)
        if rule is None or rule.get("action") == "drop":
            continue
        parts = [
            part for part, pattern in zip(name.split("."), rule["match"].split("."), strict=True) if pattern == "*"
        ]

        def fill(template: str, parts: list[str] = parts) -> str:
            return re.sub(r"\$\{(\d)\}", lambda match: parts[int(match[1]) - 1], template)

        labels = ",".join(f'{label}="{fill(text)}"' for label, text in rule["labels"].items())
        lines.append(f"{fill(rule['name'])}{{{labels}}} {value:g}")
    return "\n".join(lines)


def matches(pattern: str, name: str) -> bool:
    return pattern.count(".") == name.count(".") and fnmatchcase(name, pattern)


def check_names_in_prometheus(text: str) -> None:
    """Check that the dashboard and the alerts use what the exporter has, and the documentation names all of it."""
    assert 'airflow_make_organization_error_rate{organization_id="1"} 5' in text.splitlines()
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)\{(.*)\}", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r"(\w+)=", labels))
    (rows,) = [rows[1:] for rows in tables(PAGE) if rows[0][0] == "gauge"]
    documented = {f"airflow_{row[0].strip('`').replace('.', '_')}" for row in rows}
    assert documented == found.keys()
    dashboard = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    queries += [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    (rules,) = [block.text for block in blocks(PAGE) if block.text.startswith("groups:")]
    alerts = [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    used: set[str] = set()
    for query in [*queries, *alerts]:
        names = set(re.findall(r"airflow_make_\w+", query))
        assert names and names <= found.keys(), query
        labels = {*re.findall(r"(\w+)=~?\"", query), *re.findall(r", (\w+)\)$", query)}
        assert labels <= set().union(*(found[name] for name in names)), query
        used |= names
    assert used == found.keys()
    monitors = "".join(block.text for block in blocks(PAGE) if "query alert" in block.text)
    of_monitors = {f"airflow_{name.replace('.', '_')}" for name in re.findall(r"airflow\.(make\.\w+\.\w+)", monitors)}
    assert of_monitors and of_monitors <= found.keys()
