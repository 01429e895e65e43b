"""The page of a report: what it shows, and the template that renders it as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from airflow_provider_make.links import organization_url, scenario_url
from airflow_provider_make.report import formatting
from airflow_provider_make.report.formatting import compact, compact_credits, credits, percent, whole
from airflow_provider_make.report.pull_files import Scenario, Summary, Totals

# A host, with a port where a private instance has one. Other text from a file becomes no link.
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_TIME = re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2})?\b")


@dataclass(frozen=True)
class Figure:
    """A number with its name; text that is short enough for a phone, and every digit as a tooltip."""

    label: str
    text: str
    exact: str = ""


@dataclass(frozen=True)
class Tile:
    """A figure of the whole organization, and a note; its trend is worse, better or empty."""

    figure: Figure
    note: str
    trend: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar, relative to the others; muted if it is not one of the things compared, such as all others together."""

    name: str
    size: float
    label: str
    muted: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart: bars, or an SVG with its legend; the placeholder if there is nothing to draw."""

    title: str
    notes: Sequence[str]
    placeholder: str = ""
    bars: Sequence[Bar] = ()
    svg: Markup | None = None
    # The CSS class, name and figures of each color, from the lowest layer to the highest.
    legend: Sequence[tuple[str, str, str]] = ()
    # Whether the table has what the bars show: a phone leaves out all but the first five then.
    in_table: bool = False

    @property
    def label_length(self) -> int:
        """The characters of the longest label, for which bars leave room."""
        return max(len(bar.label) for bar in self.bars)

    def length(self, bar: Bar) -> str:
        """Return the length of a bar as a part of the longest."""
        largest = max(bar.size for bar in self.bars)
        return f"{bar.size / largest:.4f}" if largest else "0"


@dataclass(frozen=True)
class ScenarioList:
    """Scenarios with a sentence about each, and how many there are."""

    heading: str
    entries: Sequence[tuple[Scenario, str]]
    count: int


@dataclass(frozen=True, kw_only=True)
class Page:
    """The content of a page. Sentences are plain text; their dates are kept whole."""

    # The heading; None for the organization.
    title: str | None
    summary: Summary
    # Which scenarios were asked for; empty for all.
    filters: str = ""
    # The end of what the page is about, for the browser's title.
    until: str
    time_frame: str
    missing: str = ""
    # What is unusual; often empty.
    headlines: Sequence[str] = ()
    tiles: Sequence[Tile]
    note: str = ""
    first_charts: Sequence[Chart] = ()
    comparison: str = ""
    changes: Sequence[ScenarioList] = ()
    charts: Sequence[Chart]
    # Scenarios, each with its figures, and the order that they have.
    scenarios: Sequence[tuple[Scenario, Sequence[Figure]]]
    order: str
    # Rows of figures with their heading, such as the day, and what that is.
    days: Sequence[tuple[str, Sequence[Figure]]] = ()
    unit: str = ""
    # How figures are calculated, for those who want to know.
    explanations: Sequence[str] = ()
    footer: str


def count(label: str, value: int | None) -> Figure:
    return Figure(label, compact(value), whole(value))


def credit_figure(centicredits: int | None) -> Figure:
    return Figure("Credits", compact_credits(centicredits), credits(centicredits))


def figures(source: Scenario | Totals) -> list[Figure]:
    """Return the figures of a scenario, or of the organization."""
    return [
        count("Executions", source.executions),
        count("Errors", source.errors),
        Figure("Error rate", percent(source.error_rate)),
        count("Operations", source.operations),
        credit_figure(source.centicredits),
    ]


def render(page: Page) -> str:
    """Render the page as HTML without scripts: all text is escaped, and the same page results in the same text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (formatting.single_line, formatting.status_name, formatting.whole, keep_dates_whole)
    environment.filters.update({function.__name__: function for function in filters})
    environment.globals.update(scenario_name=formatting.scenario_name, team_name=formatting.team_name)
    zone, organization_id = page.summary.zone, page.summary.organization_id
    is_host = _HOST.fullmatch(zone)
    return environment.get_template("page.html").render(
        vars(page),
        organization_url=organization_url(zone, organization_id) if is_host else None,
        url_of=lambda scenario: scenario_url(zone, scenario.team_id, scenario.scenario_id) if is_host else None,
    )


def keep_dates_whole(text: str) -> Markup:
    """Put the dates in a text into elements that browsers don't break at their hyphens."""
    return Markup(_TIME.sub(r"<time>\g<0></time>", str(escape(text))))
