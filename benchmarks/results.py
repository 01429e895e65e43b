"""The raw results of a benchmark, and their JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """
    One run of one contender.

    :param contender: Key in ``benchmarks.contenders.CONTENDERS``.
    :param wall_s: Seconds from start to end of the job.
    :param cpu_s: Seconds of CPU that the whole process used for the job.
    :param peak_bytes: Peak resident memory of the process during the job; None where the system does not provide it.
    :param bytes_before: Its resident memory just before.
    :param requests: Requests that the server received.
    :param connections: Connections that these requests used.
    :param rows: Rows in the file.
    :param there: Scenarios that exist at the end of the run.
    :param missing: Number of these that are not in the file.
    :param twice: Number of rows that repeat a scenario of another row.
    :param gone: Number of scenarios in the file that no longer exist.
    :param error: The error of the job; None if it succeeded.
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
        """The number of existing scenarios that are in the file."""
        return self.there - self.missing

    @property
    def exact(self) -> bool:
        """Whether the file has every existing scenario exactly once, and no other."""
        return self.error is None and self.missing == self.twice == self.gone == 0


@dataclass(frozen=True)
class Setting:
    """
    The timed runs against one server.

    :param scenarios: Number of scenarios of the organization.
    :param latency_ms: Milliseconds before each response.
    :param least_requests: The minimum number of requests for all of them.
    :param rounds: Each round has one run of every contender, one after the other.
    """

    scenarios: int
    latency_ms: int
    least_requests: int
    rounds: Sequence[Sequence[Run]]

    def runs(self, contender: str) -> list[Run]:
        """
        Return one contender's runs.

        :param contender: The contender.
        :return: One run per round.
        """
        return [run for runs in self.rounds for run in runs if run.contender == contender]


@dataclass(frozen=True)
class CaseResult:
    """
    The runs against a server that misbehaves.

    :param name: Name of the case.
    :param text: Description of the case.
    :param runs: One run of each contender.
    """

    name: str
    text: str
    runs: Sequence[Run]


@dataclass(frozen=True)
class Results:
    """
    All results of one benchmark.

    :param facts: Properties of the machine, and versions, by name.
    :param output_format: The file format that the contenders wrote.
    :param page_size: Entries requested in each page.
    :param max_concurrency: The most requests at the same time, where a contender supports that.
    :param settings: The timed runs.
    :param cases: The runs against servers that misbehave.
    """

    facts: dict[str, str]
    output_format: str
    page_size: int
    max_concurrency: int
    settings: Sequence[Setting]
    cases: Sequence[CaseResult]

    def save(self, file: Path) -> None:
        """
        Write the results as JSON.

        :param file: The file to write.
        """
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Results:
        """
        Read results from JSON.

        :param file: The file to read.
        :return: The results.
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
