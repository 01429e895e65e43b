"""Format numbers, times and names for a report."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from airflow_provider_make.report.content import Scenario

_ABSENT = "–"
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# Characters, other than spaces, that HTML does not allow, not even escaped.
_NOT_IN_HTML = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def whole(value: int | None) -> str:
    """Format a count, with digits in groups of three."""
    return _ABSENT if value is None else f"{value:,}"


def credits(centicredits: int | None) -> str:
    """Format hundredths of credits as credits, with every digit: groups of three, and two decimals."""
    return _ABSENT if centicredits is None else f"{centicredits // 100:,}.{centicredits % 100:02}"


def short_credits(centicredits: int) -> str:
    """Format hundredths of credits to fit next to a bar: from 10¹⁵ credits on as a power of ten."""
    if centicredits < 10**17:
        return credits(centicredits)
    factor, exponent = f"{Decimal(centicredits).scaleb(-2):.2e}".split("e+")
    return f"{factor} × 10{exponent.translate(_SUPERSCRIPTS)}"


def percent(rate: float | None) -> str:
    """Format a percentage with two decimals; "< 0.01 %" if it would be rounded to zero."""
    if rate is None:
        return _ABSENT
    if 0 < rate < 0.005:
        return "< 0.01 %"
    return f"{rate:,.2f} %" if abs(rate) < 1e9 else f"{rate:.2e} %"


def change(rate: float | None) -> str:
    """Format the change of a figure, a percentage with its sign."""
    if rate is None:
        return "no earlier figures"
    if abs(rate) < 0.005:
        return "unchanged"
    return f"{'+' if rate > 0 else '−'}{percent(abs(rate))}"


def moment(time: datetime) -> str:
    """Format a time for people: date and time of day in UTC, to the minute."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def single_line(text: str) -> str:
    """Convert text to one line that is valid in HTML and SVG, without control characters."""
    return _NOT_IN_HTML.sub("\ufffd", " ".join(text.split()))


def scenario_name(scenario: Scenario) -> str:
    """Return the name of a scenario in one line; if it has none, its id."""
    return single_line(scenario.name or "") or f"Scenario {scenario.scenario_id}"


def team_name(team_id: int | None, name: str | None) -> str:
    """Return the name of a team in one line; if it has none, its id."""
    return single_line(name or "") or ("no team" if team_id is None else f"Team {team_id}")


def status_name(status: str | None) -> str:
    """Return a status in one line."""
    return single_line(status or "") or "without a status"
