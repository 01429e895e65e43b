"""Test the captions of charts over several days."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from airflow_provider_make.report.content import Summary, Totals
from airflow_provider_make.report.course import Course, course_of
from airflow_provider_make.report.course_charts import course_charts, describe_month, error_rate_chart, month_chart
from airflow_provider_make.report.frames import Frame
from airflow_provider_make.report.month import forecast_month

FIRST = date(2026, 3, 1)


def course(*totals: Totals, length: int = 1) -> tuple[list[Frame], Course]:
    summaries = [Summary(1, "eu1.make.com", total, "1") for total in totals]
    frames = [Frame("", one, FIRST + timedelta(days=n * length), length) for n, one in enumerate(summaries)]
    return frames, course_of(frames)


def plain(sentences: tuple[str, ...]) -> str:
    return " ".join(sentences).replace("\xa0", " ")


def test_captions_name_the_last_and_the_highest_figure() -> None:
    totals = [Totals(7, 28_012_345, "10000", 0, 0.0), Totals(9, None, "0", 1, None), Totals(9, 0, None, 0, None)]
    charts = course_charts(*course(*totals), "day")
    assert [(chart.title, plain(chart.notes)) for chart in charts] == [
        ("Executions", "2026-03-03: 9. Highest: 9 on 2026-03-02."),
        ("Operations", "2026-03-03: 0. Highest: 28.0 M on 2026-03-01."),
        ("Credits", "2026-03-03: –. Highest: 100 on 2026-03-01."),
        ("Errors", "2026-03-03: 0. Highest: 1 on 2026-03-02."),
    ]


def test_figures_that_no_file_has_are_not_drawn() -> None:
    frames, figures = course(Totals(executions=0), Totals(executions=0))
    assert error_rate_chart(frames, figures, 1, "day").placeholder == "Nothing was executed."
    assert [chart.svg is None for chart in course_charts(frames, figures, "day")] == [False, True, True, True]


@pytest.mark.parametrize(
    ("days", "note"),
    [
        (9, "A usual range needs 10 days with executions before 2026-03-10."),
        (
            11,
            "Shaded: usual before 2026-03-12, from 0.00 % to 14.00 %. That is the median of the days, and 3 times the "
            "median distance from it.",
        ),
    ],
)
def test_the_usual_range_is_explained(days: int, note: str) -> None:
    frames, figures = course(*(Totals(error_rate=float(number)) for number in range(days)), Totals(error_rate=99.0))
    assert plain(error_rate_chart(frames, figures, 1, "day").notes).endswith(note)


NO_FORECAST = "A forecast needs figures of 3 days, and of half of the days so far."


@pytest.mark.parametrize(
    ("credits", "limit", "text"),
    [
        ({1: 10_000}, None, f"Until 2026-03-01: 100 credits. {NO_FORECAST}"),
        (
            {1: 10_000, 2: 10_000, 3: 10_000},
            400_000,
            "Until 2026-03-03: 300 credits, 7.5 % of 4,000 (red line). Dashed: 3,100 at the end of the month, 77.5 % "
            "of the limit, if the other days are as the average of those with figures.",
        ),
        (
            {2: 10_000, 3: 10_000, 4: 10_000},
            150_000,
            "Until 2026-03-04: 300 credits, 20.0 % of 1,500 (red line). 1 day until then without figures: the sum is "
            "incomplete. Dashed: 3,100 at the end of the month, 206.7 % of the limit, if the other days are as the "
            "average of those with figures. Limit reached by that line on 2026-03-15.",
        ),
        ({30: 10_000, 31: 10_000}, 10_000, "Until 2026-03-31: 200 credits, 200.0 % of 100 (red line). 29 days until "
         f"then without figures: the sum is incomplete. {NO_FORECAST} Limit reached on 2026-03-30."),
        (dict.fromkeys(range(1, 32), 10_000), None, "Until 2026-03-31: 3,100 credits."),
    ],
)  # fmt: skip
def test_months_are_described(credits: dict[int, int | None], limit: int | None, text: str) -> None:
    month = forecast_month({FIRST.replace(day=day): used for day, used in credits.items()}, limit)
    assert plain(describe_month(month)) == text


def test_months_need_files_of_a_day() -> None:
    chart = month_chart(*course(Totals(centicredits="5"), Totals(centicredits="5"), length=7), 100)
    assert (chart.svg, chart.placeholder) == (None, "A month's credits need files of one day each.")
    assert month_chart(*course(Totals(), Totals()), 100).placeholder == "There are no figures."
