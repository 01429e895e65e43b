"""The raw numbers of a benchmark, and the JSON file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """
    One run of one contender.

    :param contender: Who ran.
    :param wall_s: Seconds from begin to end of the job.
    :param cpu_s: Seconds of CPU that the whole process used for the job.
    :param peak_bytes: Peak resident memory of the process during the job; None where the system does not tell.
    :param bytes_before: Its resident memory just before.
    :param requests: Requests that the server received.
    :param connections: Connections that they came over.
    :param rows: Rows in the file.
    :param there: Scenarios there at the end of the run.
    :param missing: How many of these are not in the file.
    :param twice: How many rows repeat a scenario of another row.
    :param gone: How many scenarios in the file are not there any more.
    :param error: What the job failed with, if it failed.
    """

    contender: str
    wall_s: float
    cpu_s: float
    peak_bytes: int | None
    bytes_before: int | None
    requests: int
    connections: int
    rows: int
    there: int
    missing: int
    twice: int
    gone: int
    error: str | None

    @property
    def obtained(self) -> int:
        """How many of the scenarios there are in the file."""
        return self.there - self.missing

    @property
    def exact(self) -> bool:
        """Whether the file has every scenario there exactly once, and no other."""
        return self.error is None and self.missing == self.twice == self.gone == 0


@dataclass(frozen=True)
class Setting:
    """
    The timed runs against one server.

    :param scenarios: How many the organization has.
    :param latency_ms: Milliseconds before each answer.
    :param least_requests: The fewest requests that can bring them all.
    :param rounds: In each round one run of every contender, one after the other.
    """

    scenarios: int
    latency_ms: int
    least_requests: int
    rounds: Sequence[Sequence[Run]]

    def runs(self, contender: str) -> list[Run]:
        """
        Give one contender's runs.

        :param contender: Who.
        :return: A run a round.
        """
        return [run for runs in self.rounds for run in runs if run.contender == contender]


@dataclass(frozen=True)
class CaseResult:
    """
    What the contenders got from a server that does something unpleasant.

    :param name: Name of the case.
    :param text: What happens.
    :param runs: A run of each contender.
    """

    name: str
    text: str
    runs: Sequence[Run]


@dataclass(frozen=True)
class Results:
    """
    All numbers of one benchmark.

    :param facts: What it ran on, and the versions, by name.
    :param output_format: What the contenders wrote.
    :param page_size: Entries asked for in each request.
    :param max_concurrency: The most requests at the same time, where a contender can do that.
    :param settings: The timed runs.
    :param cases: The others.
    """

    facts: dict[str, str]
    output_format: str
    page_size: int
    max_concurrency: int
    settings: Sequence[Setting]
    cases: Sequence[CaseResult]

    def save(self, file: Path) -> None:
        """
        Write them as JSON.

        :param file: Where to.
        """
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Results:
        """
        Read them.

        :param file: Where from.
        :return: The numbers.
        """
        fields = json.loads(file.read_text(encoding="utf-8"))
        fields["settings"] = [
            Setting(**{**setting, "rounds": [[Run(**run) for run in runs] for runs in setting["rounds"]]})
            for setting in fields["settings"]
        ]
        fields["cases"] = [
            CaseResult(**{**case, "runs": [Run(**run) for run in case["runs"]]}) for case in fields["cases"]
        ]
        return cls(**fields)
