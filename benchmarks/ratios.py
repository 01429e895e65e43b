"""Compare runs of the same round, and check the goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import FLOOR, HTTP_OPERATOR, OURS
from benchmarks.results import Results, Run, Setting

Figure = Callable[[Run], float | None]


def wall(run: Run) -> float:
    """
    Return the wall time.

    :param run: A run.
    :return: Seconds.
    """
    return run.wall_s


def cpu(run: Run) -> float:
    """
    Return the CPU time.

    :param run: A run.
    :return: Seconds.
    """
    return run.cpu_s


def peak(run: Run) -> float | None:
    """
    Return the peak memory of the process.

    :param run: A run.
    :return: Bytes; None where unknown.
    """
    return run.peak_bytes


def growth(run: Run) -> float | None:
    """
    Return the memory of the job itself, without that of the libraries loaded before.

    :param run: A run.
    :return: Bytes; None where unknown.
    """
    if run.peak_bytes is None or run.bytes_before is None:
        return None
    return run.peak_bytes - run.bytes_before


@dataclass(frozen=True)
class Ratio:
    """The ratio of a figure of two contenders: the median over the rounds, and the range."""

    median: float
    lowest: float
    highest: float


def ratio(setting: Setting, figure: Figure, contender: str, against: str) -> Ratio | None:
    """
    Divide one contender's figure by another's, round by round: a disturbance slows down a whole round.

    :param setting: The runs.
    :param figure: Returns the figure of a run.
    :param contender: The contender of the dividend.
    :param against: The contender of the divisor.
    :return: The ratio; None where a figure is unknown, or the divisor is not above zero.
    """
    pairs = zip(setting.runs(contender), setting.runs(against), strict=True)
    found = []
    for one, other in pairs:
        dividend, divisor = figure(one), figure(other)
        if dividend is None or not divisor or divisor < 0:
            return None
        found.append(dividend / divisor)
    return Ratio(median(found), min(found), max(found)) if found else None


def typical(setting: Setting, figure: Figure, contender: str) -> float | None:
    """
    Return the median of a contender's figure.

    :param setting: The runs.
    :param figure: Returns the figure of a run.
    :param contender: The contender.
    :return: The median; None where the figure is unknown.
    """
    found = [value for value in map(figure, setting.runs(contender)) if value is not None]
    return median(found) if found else None


@dataclass(frozen=True)
class Goal:
    """
    A goal for the provider, and whether the results meet it.

    :param text: The goal.
    :param found: The measured value, as text.
    :param met: Whether it meets the goal.
    """

    text: str
    found: str
    met: bool


def goals(results: Results) -> list[Goal]:
    """
    Check the goals. Those for speed apply to the settings with the most scenarios.

    :param results: The results.
    :return: The goals, without those that need a setting that was not run.
    """
    most = max(setting.scenarios for setting in results.settings)
    found: list[Goal] = []
    for setting in sorted(results.settings, key=lambda setting: -setting.latency_ms):
        pages = f"{setting.latency_ms} ms latency and {setting.least_requests} pages"
        if setting.scenarios != most:
            continue
        if setting.latency_ms == 50:
            faster = ratio(setting, wall, HTTP_OPERATOR, OURS)
            slower = ratio(setting, wall, OURS, FLOOR)
            if faster is not None and slower is not None:
                text = f"At {pages}: at least 5 times faster than HttpOperator"
                found.append(Goal(text, f"{faster.median:.1f} times", faster.median >= 5))
                text = f"At {pages}: within 1.3 times the floor's time"
                found.append(Goal(text, f"{slower.median:.2f} times", slower.median <= 1.3))
        if setting.latency_ms == 0 and (more := ratio(setting, cpu, OURS, FLOOR)) is not None:
            text = f"At {pages}: CPU time no more than 1.5 times the floor's"
            found.append(Goal(text, f"{more.median:.2f} times", more.median <= 1.5))
            if (slower := ratio(setting, wall, OURS, FLOOR)) is not None:
                text = f"At {pages}: rows per second, from response to file, at least half of the floor's"
                found.append(Goal(text, f"{1 / slower.median:.2f} of them", slower.median <= 2))
    ours = [(setting, run) for setting in results.settings for run in setting.runs(OURS)]
    spare = max(run.requests - setting.least_requests for setting, run in ours)
    text = "Requests of a timed run: at most one more than the minimum, for the overlap of pages"
    found.append(Goal(text, f"{spare} more", spare <= 1))
    connections = max(run.connections for _, run in ours)
    text = f"Connections of a timed run: at most {results.max_concurrency}"
    found.append(Goal(text, f"at most {connections}", connections <= results.max_concurrency))
    inexact = sum(not run.exact for _, run in ours) + sum(
        not run.exact for case in results.cases for run in case.runs if run.contender == OURS
    )
    text = "Rows: every scenario exactly once, whatever the server does"
    found.append(Goal(text, f"not in {inexact} runs" if inexact else "in every run", not inexact))
    return found
