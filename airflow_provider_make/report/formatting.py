"""How numbers, times and names are written in a report."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from airflow_provider_make.report.content import Scenario

ABSENT = "–"
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# What HTML does not allow, not even escaped, beside spaces.
_NOT_IN_HTML = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


def whole(value: int | None) -> str:
    """
    Write a count.

    :param value: The count, or None.
    :return: Digits in groups of three.
    """
    return ABSENT if value is None else f"{value:,}"


def credits(centicredits: int | None) -> str:
    """
    Write credits, every digit of them.

    :param centicredits: Hundredths of credits, zero or more, or None.
    :return: Digits in groups of three, and two decimals.
    """
    return ABSENT if centicredits is None else f"{centicredits // 100:,}.{centicredits % 100:02}"


def short_credits(centicredits: int) -> str:
    """
    Write credits so that they fit beside a bar.

    :param centicredits: Hundredths of credits, zero or more.
    :return: As ``credits`` does; from a million billions on as a power of ten.
    """
    if centicredits < 10**17:
        return credits(centicredits)
    factor, exponent = f"{Decimal(centicredits).scaleb(-2):.2e}".split("e+")
    return f"{factor} × 10{exponent.translate(_SUPERSCRIPTS)}"


def percent(rate: float | None) -> str:
    """
    Write a rate.

    :param rate: A percentage, or None.
    :return: Two decimals; what would be rounded to nothing is said to be less than the least.
    """
    if rate is None:
        return ABSENT
    if 0 < rate < 0.005:
        return "< 0.01 %"
    return f"{rate:,.2f} %" if abs(rate) < 1e9 else f"{rate:.2e} %"


def change(rate: float | None) -> str:
    """
    Write by how much a figure changed.

    :param rate: A percentage, or None.
    :return: With its sign.
    """
    if rate is None:
        return "no earlier figures"
    if abs(rate) < 0.005:
        return "unchanged"
    return f"{'+' if rate > 0 else '−'}{percent(abs(rate))}"


def moment(time: datetime) -> str:
    """
    Write a time for people.

    :param time: An aware time.
    :return: Date and time of day in UTC, to the minute.
    """
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def plain(text: str) -> str:
    """
    Make text of any content a line that HTML and SVG may have.

    :param text: Any text.
    :return: It, with single spaces, and a replacement character for each control character.
    """
    return _NOT_IN_HTML.sub("\ufffd", " ".join(text.split()))


def scenario_name(scenario: Scenario) -> str:
    """
    Name a scenario.

    :param scenario: The scenario.
    :return: Its name, as a line; by its id where it has none.
    """
    return plain(scenario.name or "") or f"Scenario {scenario.scenario_id}"


def team_name(team_id: int | None, name: str | None) -> str:
    """
    Name a team.

    :param team_id: Its id, or None.
    :param name: Its name, or None.
    :return: Its name, as a line; by its id where it has none.
    """
    return plain(name or "") or ("no team" if team_id is None else f"Team {team_id}")


def status_name(status: str | None) -> str:
    """
    Name a status.

    :param status: The status, or None.
    :return: It, as a line.
    """
    return plain(status or "") or "without a status"
