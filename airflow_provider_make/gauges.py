"""The gauges of a pull or poll in Airflow's metrics: which ones, their values and tags, and how they are set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_make.api.page import Metrics, ScenarioMetrics, to_credits
from airflow_provider_make.exceptions import MakeInputError

LEVELS = ("organization", "team")
# Other characters end a tag, or the name, in StatsD's formats.
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True)
class Gauge:
    """A gauge, without the prefix of the deployment."""

    name: str
    value: float
    # By tag. Plain StatsD drops tags, so the second name ends in these.
    ids: Mapping[str, int]
    zone: str

    @property
    def name_with_ids(self) -> str:
        """The name that differs between organizations and teams also where tags are dropped."""
        return ".".join((self.name, *map(str, self.ids.values())))

    @property
    def tags(self) -> dict[str, str]:
        """All tags."""
        return {**{name: str(id_) for name, id_ in self.ids.items()}, **self.tags_beside_ids}

    @property
    def tags_beside_ids(self) -> dict[str, str]:
        """The tags of the name that ends in ids."""
        return {"zone": _NOT_IN_TAGS.sub("_", self.zone)}


@dataclass(frozen=True)
class Gauges:
    """Chooses the gauges of what was read, with these filters, of an organization."""

    level: str | None
    organization_id: int
    zone: str
    # By argument; empty for all scenarios.
    filters: Mapping[str, Sequence[Any]]

    def of_figures(self, total: Metrics, teams: Mapping[int, Metrics]) -> list[Gauge]:
        """
        Choose the gauges of the figures: only of an organization, and of teams, whose figures are whole.

        ``total`` is of what the filters select, and ``teams`` of the teams whose scenarios were all read.
        """
        if self.level is None or self.filters.keys() - {"team_id"}:
            return []
        chosen = [] if self.filters else self._of("organization", total, {})
        if self.level == "team":
            if not teams and len(selected := self.filters.get("team_id", ())) == 1:
                teams = {selected[0]: total}
            for team_id, figures in sorted(teams.items()):
                chosen += self._of("team", figures, {"team_id": team_id})
        return chosen

    def of_pull(self, *, rows: int, requests: int, seconds: float) -> list[Gauge]:
        """Choose the gauges of a pull as such."""
        if self.level is None:
            return []
        values = {"rows": rows, "requests": requests, "seconds": round(seconds, 3)}
        return [self._gauge("pull", name, value, {}) for name, value in values.items()]

    def _of(self, kind: str, figures: Metrics, ids: Mapping[str, int]) -> list[Gauge]:
        values = {
            "executions": figures.executions,
            "operations": figures.operations,
            "credits": None if figures.centicredits is None else to_credits(figures.centicredits),
            "errors": figures.errors,
            # In percent. Without executions there is none, whatever the server sends.
            "error_rate": figures.error_rate if figures.executions != 0 else None,
        }
        return [self._gauge(kind, name, value, ids) for name, value in values.items() if value is not None]

    def _gauge(self, kind: str, name: str, value: float, ids: Mapping[str, int]) -> Gauge:
        # A float: OpenTelemetry can't export an integer of more than 64 bits, as sums may have.
        return Gauge(f"make.{kind}.{name}", float(value), {"organization_id": self.organization_id, **ids}, self.zone)


def parse_level(value: Any) -> str | None:
    """Check the argument ``emit_metrics``."""
    if value is None or (isinstance(value, str) and value in LEVELS):
        return value
    raise MakeInputError.expected("emit_metrics", value, f"one of {', '.join(LEVELS)}, or None")


def describe_omission(level: str | None, filters: Mapping[str, Sequence[Any]], *, reads_scenarios: bool) -> str | None:
    """Describe which gauges are not set, and why; None if all are."""
    if level is None:
        return None
    if other := sorted(filters.keys() - {"team_id"}):
        return (
            f"emit_metrics={level!r} sets no gauges of figures with {' and '.join(other)}: some scenarios are left out."
        )
    if filters and level == "organization":
        return "emit_metrics='organization' sets no gauges of figures with team_id: some teams are left out."
    if level == "team" and not reads_scenarios and len(filters.get("team_id", ())) != 1:
        return "emit_metrics='team' sets no gauges of teams: scope='organization' reads no scenarios."
    return None


class TeamTotals:
    """Adds up the figures of scenarios by team while they are read."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[int | None, ...]] = {}

    def restart(self) -> None:
        """Discard what was added."""
        self._sums.clear()

    def add(self, entries: Sequence[ScenarioMetrics]) -> None:
        """Add entries, each of them once."""
        for entry in entries:
            if entry.team_id is None:
                continue
            centicredits = None if entry.centicredits is None else int(entry.centicredits)
            figures = (entry.executions, entry.operations, entry.errors, centicredits)
            sums = self._sums.get(entry.team_id, (0, 0, 0, 0))
            # Without a figure of one scenario, that of its team is not known.
            self._sums[entry.team_id] = tuple(
                None if first is None or second is None else first + second
                for first, second in zip(sums, figures, strict=True)
            )

    def figures(self) -> dict[int, Metrics]:
        """Return the figures of each team."""
        return {
            team_id: Metrics(
                executions=executions,
                operations=operations,
                errors=errors,
                centicredits=None if centicredits is None else str(centicredits),
                error_rate=100 * errors / executions if executions and errors is not None else None,
            )
            for team_id, (executions, operations, errors, centicredits) in self._sums.items()
        }


def set_gauges(gauges: Sequence[Gauge], log: Any) -> None:
    """Set the gauges. A backend that is missing, or fails, is a line in the log."""
    if not gauges:
        return
    try:
        # Imported here: only those who ask for gauges pay for it.
        from airflow.providers.common.compat.sdk import Stats, conf

        # From Airflow 3.2 on, a deployment whose backend keeps tags can do without names with ids.
        has_names_with_ids = conf.getboolean("metrics", "legacy_names_on", fallback=True)
        for gauge in gauges:
            Stats.gauge(gauge.name, gauge.value, tags=gauge.tags)
            if has_names_with_ids:
                Stats.gauge(gauge.name_with_ids, gauge.value, tags=gauge.tags_beside_ids)
    except Exception as error:
        log.warning("The gauges of emit_metrics could not be set: %s: %s", type(error).__name__, error)
