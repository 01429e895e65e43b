"""Test what the pages of both kinds of report have in common."""

from __future__ import annotations

import pytest

from airflow_provider_make.report.content import Summary, Totals
from airflow_provider_make.report.template import LinksToMake, keep_dates_whole


@pytest.mark.parametrize("zone", ["eu1.make.com", "make.example.com:8443", "[::1]:8080"])
def test_links_are_on_the_zone(zone: str) -> None:
    links = LinksToMake(Summary(42, zone, Totals(), "1"))
    assert links.organization() == f"https://{zone}/organization/42/dashboard"
    assert links.scenario(7, 8) == f"https://{zone}/7/scenarios/8/edit"
    assert links.scenario(None, 8) is None


def test_dates_are_kept_whole_and_other_text_is_escaped() -> None:
    assert keep_dates_whole("<2026-03-01> & 12026-03-011") == "&lt;<time>2026-03-01</time>&gt; &amp; 12026-03-011"
