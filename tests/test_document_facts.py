"""The documents' tables and links, compared with the code, the pinned versions and the existing files."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_make import exceptions, pytest_plugin
from airflow_provider_make.api.errors import is_retryable
from airflow_provider_make.api.page import Metrics, ScenarioMetrics
from airflow_provider_make.api.query import SORT_KEYS
from airflow_provider_make.api.time_frame import TimeFrame
from airflow_provider_make.connection.form import CONNECTION_FIELDS, ZONES
from airflow_provider_make.exceptions import MakeApiError, MakeInputError
from airflow_provider_make.get_provider_info import get_provider_info
from airflow_provider_make.operators.analytics import MakeAnalyticsOperator
from airflow_provider_make.output.formats import FORMATS, choose_format, parquet_schema
from airflow_provider_make.sandbox import Fault, Sandbox, story
from airflow_provider_make.sandbox.__main__ import DEFAULT_PORT
from airflow_provider_make.sandbox.__main__ import main as run_sandbox
from airflow_provider_make.sensors.analytics import MakeAnalyticsSensor
from airflow_provider_make.thresholds.arguments import ThresholdArguments
from airflow_provider_make.thresholds.evaluation import Snapshot, evaluate
from airflow_provider_make.thresholds.rule import METRICS, Metric, ThresholdRule
from airflow_provider_make.triggers.analytics import MakeAnalyticsEventTrigger
from tests.support.documents import PAGES, README, ROOT, anchors, blocks, links, tables

DOCS = ROOT / "docs"


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is this one."""
    (found,) = [rows for rows in tables(page) if rows[0][0] == heading]
    return found[1:]


def codes(cell: str) -> list[str]:
    """Return the inline code of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def test_documented_versions_are_the_pinned_ones() -> None:
    pins = {
        path.stem.removeprefix("airflow-"): dict(re.findall(r"^(\S+)==(\S+)$", path.read_text(), re.MULTILINE))
        for path in (ROOT / "constraints").glob("airflow-*.txt")
    }
    page = DOCS / "installation.md"
    rows = table(page, "Airflow")
    assert [row[0] for row in rows] == [pins[minor]["apache-airflow"] for minor in sorted(pins, key=float)]
    for version, _, *features in rows:
        major, minor, _ = map(int, version.split("."))
        assert features == ["yes", "yes" if major >= 3 else "", "yes" if (major, minor) >= (3, 3) else ""]
    (documented,) = re.findall(r"^http (\S+) and common-compat (\S+):$", page.read_text(), re.MULTILINE)
    for versions in pins.values():
        names = ("http", "common-compat")
        assert documented == tuple(versions[f"apache-airflow-providers-{name}"] for name in names)


def test_documented_columns_are_those_of_parquet_files() -> None:
    rows = table(DOCS / "analytics.md", "column")
    assert [(codes(name)[0], column_type) for name, column_type, _ in rows] == [
        (field.name, str(field.type)) for field in parquet_schema()
    ]


def test_documented_fields_are_those_of_the_connection() -> None:
    rows = table(DOCS / "connection.md", "field")
    assert [name for name, _ in rows[:3]] == ["password", "host", "port"]
    assert sorted(name.removeprefix("extra ").strip("`") for name, _ in rows[3:]) == sorted(CONNECTION_FIELDS)
    (zones,) = [codes(meaning) for name, meaning in rows if "zone" in name]
    assert zones == list(ZONES)


def test_documented_sort_keys_are_those_of_the_query() -> None:
    (sentence,) = re.findall(r"^`sort_by` takes(.*?);", (DOCS / "analytics.md").read_text(), re.DOTALL | re.MULTILINE)
    assert codes(sentence) == list(SORT_KEYS)


def test_documented_formats_are_those_of_the_writers() -> None:
    suffixes = [code for row in table(DOCS / "analytics.md", "suffix, or `output_format`") for code in codes(row[0])]
    assert {choose_format(f"rows{suffix}", None)[0] for suffix in suffixes} == set(FORMATS)


def test_documented_untemplated_arguments_are_those_of_the_operator() -> None:
    text = (DOCS / "analytics.md").read_text()
    (documented,) = re.findall(r"^All arguments but (.*) are templated", text, re.MULTILINE)
    arguments = set(inspect.signature(MakeAnalyticsOperator.__init__).parameters) - {"self", "kwargs"}
    assert set(codes(documented)) == arguments - set(MakeAnalyticsOperator.template_fields)


def test_every_argument_of_the_operator_is_documented_with_its_default() -> None:
    parameters = inspect.signature(MakeAnalyticsOperator.__init__).parameters
    documented = {codes(row[0])[0]: row[1].strip("`") for row in table(DOCS / "analytics.md", "argument")}
    assert list(documented) == [name for name in parameters if name not in ("self", "kwargs")]
    for name, default in documented.items():
        # Words describe the default where it is None.
        assert default == str(parameters[name].default) or parameters[name].default is None


def test_every_argument_of_sensors_and_watchers_is_documented() -> None:
    documented = [code for row in table(DOCS / "sensors.md", "argument") for code in codes(row[0])]
    arguments = [name for name in inspect.signature(MakeAnalyticsSensor.__init__).parameters if name != "kwargs"]
    assert sorted(documented) == sorted(arguments[1:])
    of_watchers = {code for row in table(DOCS / "watchers.md", "more arguments") for code in codes(row[0])}
    own = {*MakeAnalyticsEventTrigger.names()} - {*ThresholdArguments.names()} - {"stored_version"}
    assert of_watchers == own | {"api_retry_limit"}


def test_documented_untemplated_arguments_are_those_of_the_sensor() -> None:
    text = " ".join((DOCS / "sensors.md").read_text().split())
    (documented,) = re.findall(r"All others except ([^.]*) are templated", text)
    own = set(inspect.signature(MakeAnalyticsSensor.__init__).parameters) - {"self", "kwargs"}
    assert set(codes(documented)) == own - set(MakeAnalyticsSensor.template_fields)


def test_documented_metrics_are_those_of_the_rule() -> None:
    rows = table(DOCS / "sensors.md", "metric")
    assert sorted(code for row in rows for code in codes(row[0])) == sorted(METRICS)
    for names, unit, min_executions in rows:
        for name in codes(names):
            assert unit.startswith("percent") == Metric(name).is_percentage
            rule = ThresholdRule.from_arguments(
                threshold=1, metric=name, comparison=">=", scope="scenario", min_executions=None
            )
            assert min_executions == str(rule.min_executions)


def test_documented_keys_are_those_of_results_and_events() -> None:
    # Of JSON examples: test_documents compares them with real ones.
    for page in ("sensors.md", "watchers.md"):
        (example,) = [json.loads(block.text) for block in blocks(DOCS / page) if block.language == "json"]
        assert {code for row in table(DOCS / page, "key") for code in codes(row[0])} <= example.keys()


def test_the_picture_of_crossings_shows_the_events_that_the_rule_emits() -> None:
    text = (DOCS / "images" / "crossings.svg").read_text()
    rule = ThresholdRule(threshold=10.0, scope="scenario", hysteresis=2.0)
    # Fourteen pixels are one percent.
    polls: dict[float, dict[int, float]] = {}
    drawn: set[tuple[float, int]] = set()
    for number, name in enumerate("ab", start=1):
        (group,) = re.findall(rf'<g class="{name}">(.*?)</g>', text, re.DOTALL)
        for points in re.findall(r'points="([^"]*)"', group):
            for x, y in (map(float, point.split(",")) for point in points.split()):
                polls.setdefault(x, {})[number] = (330 - y) / 14
        drawn |= {(float(x), number) for x in re.findall(r'class="event" cx="([\d.]+)"', group)}
    emitted: set[tuple[float, int]] = set()
    firing: frozenset[int] = frozenset()
    now = datetime.now(UTC)
    for x in sorted(polls):
        entries = [
            ScenarioMetrics(scenario_id=id_, executions=100, error_rate=value) for id_, value in polls[x].items()
        ]
        snapshot = Snapshot(42, "eu1.make.com", TimeFrame(now, now), now, Metrics(), entries)
        evaluation = evaluate(rule, snapshot, firing)
        firing = evaluation.firing
        emitted |= {(x, scenario.scenario_id) for scenario in evaluation.scenarios}
    assert drawn
    assert drawn == emitted


ERRORS: list[type[Exception]] = [
    value
    for value in vars(exceptions).values()
    if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == exceptions.__name__
]


def test_every_error_is_documented() -> None:
    documented = [codes(row[0])[0] for row in table(DOCS / "errors.md", "error")]
    assert sorted(documented) == sorted(error.__name__ for error in ERRORS if error is not MakeApiError)


@pytest.mark.parametrize("row", table(DOCS / "errors.md", "error"), ids=lambda row: row[0])
def test_documented_retries_are_those_of_the_error(row: list[str]) -> None:
    name, _, tried_again, airflow_retries, _ = row
    error_class: Any = getattr(exceptions, name.strip("`"))
    assert (airflow_retries == "no") == issubclass(error_class, AirflowFailException)
    retried = error_class is not MakeInputError and is_retryable(error_class("…"))
    assert tried_again.partition(",")[0] == ("yes" if retried else "no")
    if "redirect" in tried_again:
        assert not is_retryable(error_class("…", status_code=302))


def test_documented_faults_are_those_of_the_sandbox() -> None:
    documented = [code for row in table(DOCS / "testing.md", "fault") for code in codes(row[0])]
    assert [str(Fault.parse(code)) for code in documented] == documented
    with pytest.raises(ValueError, match="expected one of") as caught:
        Fault("unknown")
    known = re.findall(r"[a-z0-9-]+", str(caught.value).partition("expected one of")[2].replace(" to ", " "))
    assert {code.partition(":")[0] for code in documented} == {*known, "503"}


def test_documented_options_are_those_of_the_sandbox_and_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(DOCS / "testing.md", "option")
    assert [codes(name)[0] for name, _, _ in rows] == list(inspect.signature(Sandbox).parameters)
    with pytest.raises(SystemExit):
        run_sandbox(["--help"])
    of_command = re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    assert {codes(option)[0] for _, option, _ in rows} | {"--fault", "--quiet", "--version"} == set(of_command)


def test_documented_days_of_the_story_are_those_of_the_sandbox() -> None:
    days = [int(day) for day, _ in table(DOCS / "testing.md", "day of the month")]
    failure, expiry = [story.FAILS_FROM, story.FAILS_UNTIL], [story.EXPIRES_ON, story.RENEWED_ON]
    assert days == [story.REPLACED_ON, *failure, story.DISABLED_ON, *expiry]


def test_the_documented_port_is_that_of_the_command() -> None:
    text = (DOCS / "testing.md").read_text()
    assert f"http://127.0.0.1:{DEFAULT_PORT}/" in text
    assert f"Its port is {DEFAULT_PORT}," in text
    assert "8080" not in text.replace("8080 is Airflow's own", "")


def test_documented_fixtures_and_methods_exist() -> None:
    page = DOCS / "testing.md"
    for (fixture,) in [codes(row[0]) for row in table(page, "fixture")]:
        assert hasattr(pytest_plugin, fixture)
    for row in table(page, "method"):
        for code in codes(row[0]):
            target: Any = Sandbox().organization() if code.startswith("organization().") else Sandbox
            assert hasattr(target, re.findall(r"(\w+)(?:\(|$)", code)[-1])


def test_the_picture_of_a_pull_names_modules_that_exist() -> None:
    package = ROOT / "airflow_provider_make"
    drawn = set(re.findall(r"[\w/]+\.py", (DOCS / "images" / "pull.svg").read_text()))
    assert drawn
    assert {name for name in drawn if not (package / name).exists()} == set()


@pytest.mark.parametrize(
    "page",
    sorted([*ROOT.glob("*.md"), *(ROOT / ".github").glob("*.md"), *PAGES, *(DOCS / "reference").glob("*.md")]),
    ids=lambda page: page.name,
)
def test_every_link_target_exists(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert path.is_relative_to(ROOT), link
        # Docstrings have their anchors when the site is built, which is strict about them.
        # Of pictures, the site shows the one for its colors.
        if anchor and not anchor.startswith("airflow_provider_make.") and anchor not in ("only-light", "only-dark"):
            assert anchor in anchors(path), link


def test_installation_names_the_bounds_of_the_metadata() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = dict(text.split(">=") for text in [*project["dependencies"], *project["optional-dependencies"]["parquet"]])
    rows = table(DOCS / "installation.md", "package")
    assert {codes(name)[0]: needed.removesuffix(" or later") for name, needed in rows} == bounds
    requirements, _ = [block.text for block in blocks(DOCS / "installation.md") if block.language == "requirements"]
    named = dict(line.split(">=") for line in requirements.splitlines()[1:])
    assert named == {name: bound for name, bound in bounds.items() if "-providers-" in name}


def test_every_common_mistake_has_its_message() -> None:
    text = (DOCS / "faq.md").read_text()
    assert re.findall(r"^# (\w+)", text) == ["Twenty"]
    sections = re.split(r"^### .*\n", text, flags=re.MULTILINE)[1:]
    assert [section.count("```text\n") for section in sections] == [1] * 20


def test_every_public_class_has_a_page_in_the_reference() -> None:
    pages = {path.stem: path.read_text() for path in (DOCS / "reference").glob("*.md")}
    info = get_provider_info()
    modules = [
        module
        for key in ("hooks", "operators", "sensors", "triggers")
        for entry in info[key]
        for module in entry["python-modules"]
    ]
    classes = {
        f"{module}.{name}"
        for module in modules
        for name, value in vars(import_module(module)).items()
        if inspect.isclass(value) and value.__module__ == module and not name.startswith("_")
    }
    assert len(classes) > 6
    for path in classes:
        assert f"::: {path}\n" in pages[path.rpartition(".")[2]]
    linked = {link.removeprefix("reference/").removesuffix(".md") for link in links(DOCS / "reference.md")}
    assert linked == pages.keys()


def test_every_page_is_linked_from_the_overview() -> None:
    linked = {link.partition("#")[0] for link in links(DOCS / "index.md")}
    assert {page.name for page in PAGES if page.name != "index.md"} <= linked


def test_the_readme_is_one_screen_with_a_picture_for_each_colour() -> None:
    assert len(README.read_text().splitlines()) <= 80
    assert {"docs/tutorial.md", "docs/warehouse.md", "docs/alerting.md", "docs/report.md"} <= {*links(README)}
    pictures = [link for link in links(README) if link.endswith(".png")]
    assert pictures == ["docs/images/report-part-dark.png", "docs/images/report-part.png"]


def test_the_first_dag_is_the_same_everywhere() -> None:
    (first,) = [block.text for block in blocks(README) if block.language == "python"]
    assert len([line for line in first.splitlines() if line]) <= 10
    for page in ("index.md", "tutorial.md"):
        assert first in (DOCS / page).read_text(), page


def test_only_the_installation_says_how_to_install_the_provider() -> None:
    # One place to change when it is published.
    named = {
        page.name
        for page in (README, *PAGES)
        for block in blocks(page)
        if re.search(r"^(RUN )?pip install .*airflow-provider-make", block.text.replace("\\\n", ""), re.MULTILINE)
    }
    assert named == {"installation.md"}
