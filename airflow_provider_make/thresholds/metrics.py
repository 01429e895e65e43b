"""The metrics that thresholds compare: the column of each, its unit, and its value."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from airflow_provider_make.api.query import SORT_KEYS
from airflow_provider_make.api.response import Metrics

_AMOUNTS = ("errors", "executions", "operations", "credits")
METRICS = ("error_rate", *_AMOUNTS, *(f"{name}_change" for name in ("error_rate", *_AMOUNTS)))


@dataclass(frozen=True)
class Metric:
    """
    A metric.

    :param name: One of ``METRICS``: an amount, or a percentage. A change is in percent, as Make calculates it.
    """

    name: str

    @property
    def column(self) -> str:
        """The column of rows that it is calculated from."""
        return self.name.replace("credits", "centicredits")

    @property
    def is_percentage(self) -> bool:
        """Whether its unit is percent."""
        return self.name not in _AMOUNTS

    @property
    def is_sortable(self) -> bool:
        """Whether Make can sort by it."""
        return self.column in SORT_KEYS

    def value(self, figures: Metrics) -> float | None:
        """
        Return its value.

        :param figures: The figures of an organization or a scenario.
        :return: The value; None where it can't be calculated, as an error rate without executions.
        """
        if self.name == "error_rate" and figures.executions == 0:
            return None
        value: float | str | None = getattr(figures, self.column)
        return _credits(value) if isinstance(value, str) else value

    def describe(self, value: float, apart_from: float | None = None) -> str:
        """
        Format a value for people, with its unit.

        :param value: A value of this metric.
        :param apart_from: Another value: if they differ, so do their texts. None for two decimals at most.
        :return: Text such as ``12.5 %``, ``+30 %`` or ``1,234.5``.
        """
        decimals = 2
        if apart_from not in (None, value):
            while decimals < 20 and _format(value, decimals) == _format(apart_from or 0, decimals):
                decimals += 1
        text = _format(value, decimals)
        if not self.is_percentage:
            return text
        sign = "+" if value > 0 and self.name.endswith("_change") else ""
        return f"{sign}{text} %"


def _format(value: float, decimals: int) -> str:
    if abs(value) >= 1e15:
        return f"{value:.{decimals}g}" if decimals > 2 else f"{value:g}"
    text = f"{value:,.{decimals}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _credits(centicredits: str) -> float:
    try:
        return int(centicredits) / 100
    except OverflowError:
        # Text of digits has no largest number, and JSON has no infinity.
        return sys.float_info.max
