"""What the pages of both kinds of report have in common: the template engine, totals, charts, and links to Make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_make.api.time_frame import iso
from airflow_provider_make.links import organization_url, scenario_url
from airflow_provider_make.report import formatting
from airflow_provider_make.report.content import Summary

if TYPE_CHECKING:
    from markupsafe import Markup

# A host, with a port where a private instance has one. Other text from a file becomes no link.
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_DATE = re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b")


@dataclass(frozen=True)
class Total:
    """
    A figure of the whole organization.

    :param label: Its name.
    :param value: The figure, short enough for a phone.
    :param exact: The figure with every digit, as a tooltip.
    :param note: Text below it.
    :param trend: The CSS class of the note: ``worse``, ``better`` or empty.
    """

    label: str
    value: str
    exact: str
    note: str
    trend: str = ""


@dataclass(frozen=True)
class Chart:
    """
    A chart with its caption.

    :param title: Its heading.
    :param notes: Sentences below the heading.
    :param svg: The chart; None if there is nothing to draw.
    :param placeholder: The text then.
    :param legend: The CSS class, name and figures of each color, from top to bottom.
    """

    title: str
    notes: tuple[str, ...]
    svg: Markup | None
    placeholder: str = ""
    legend: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class LinksToMake:
    """The URLs of an organization's pages at Make; None if the file's zone is not a host."""

    summary: Summary

    def _zone(self) -> str | None:
        return self.summary.zone if _HOST.fullmatch(self.summary.zone) else None

    def organization(self) -> str | None:
        """Return the URL of the organization."""
        zone = self._zone()
        return organization_url(zone, self.summary.organization_id) if zone else None

    def scenario(self, team_id: int | None, scenario_id: int) -> str | None:
        """Return the URL of a scenario; None also without its team."""
        zone = self._zone()
        return scenario_url(zone, team_id, scenario_id) if zone else None


def render(template: str, **values: Any) -> str:
    """
    Render a template of this folder.

    :param template: Its file name.
    :param values: Its variables. All text is escaped.
    :return: HTML; the same values always result in the same text.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("whole", "compact", "credits", "compact_credits", "percent", "moment", "status_name", "single_line")
    environment.filters["whole_dates"] = keep_dates_whole
    environment.filters.update({name: getattr(formatting, name) for name in names}, iso=iso)
    environment.globals.update(
        scenario_name=formatting.scenario_name, team_name=formatting.team_name, count_of=formatting.count_of
    )
    return environment.get_template(template).render(values)


def keep_dates_whole(text: str) -> Markup:
    """Put the dates in a text into elements that browsers don't break at their hyphens."""
    from markupsafe import Markup, escape

    return Markup(_DATE.sub(r"<time>\g<0></time>", str(escape(text))))


def to_markup(svg: str) -> Markup:
    """Mark a drawing as HTML, which is not escaped."""
    from markupsafe import Markup

    return Markup(svg)
