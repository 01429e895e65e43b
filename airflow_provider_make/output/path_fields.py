"""The fields of output_path, such as {organization_id}, filled with what a pull requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from string import Formatter
from typing import Any

from airflow_provider_make.api.time_frame import TimeFrame, format_time
from airflow_provider_make.exceptions import MakeInputError

_FIELDS = "{organization_id}, {zone}, {date_from:%Y-%m-%d} and {date_to:%Y-%m-%d}"


@dataclass(frozen=True)
class PathFields:
    """
    The values of the fields.

    :param organization_id: The organization.
    :param zone: The zone, or the host of a private instance.
    :param time_frame: The time frame of the pull.
    :param timezone: The time zone in which times are written.
    """

    organization_id: int
    zone: str
    time_frame: TimeFrame
    timezone: tzinfo

    def fill(self, output_path: Any) -> Any:
        """
        Fill the fields of a path.

        :param output_path: A path or URL; None for XCom. Fields are those of ``str.format``; those of times need a
            format for strftime. A brace itself is doubled.
        :return: The path with the fields filled; None for None.
        :raises MakeInputError: A field is unknown or malformed, or the pull has no value for it.
        """
        if output_path is None:
            return None
        try:
            parts = list(Formatter().parse(str(output_path)))
        except ValueError:
            raise MakeInputError.expected("output_path", output_path, f"only the fields {_FIELDS} in braces") from None
        filled = ""
        for literal, name, template, conversion in parts:
            filled += literal
            if name is not None:
                filled += self._value(output_path, name, template or "", conversion)
        return filled

    def shares_path_with_next(self, output_path: Any) -> bool:
        """
        Check whether the pull of the next time frame would have the same path, although the path has times.

        :param output_path: The path, with its fields.
        :return: Whether both have the same path; False for a path without times, which is meant to be replaced.
        """
        begin, end = self.time_frame.date_from, self.time_frame.date_to
        if output_path is None or begin is None or end is None:
            return False
        names = {name for _, name, _, _ in Formatter().parse(str(output_path))}
        try:
            following = replace(self, time_frame=TimeFrame(end, end + (end - begin)))
        except OverflowError:
            # An end such as 9999-12-31.
            return False
        return bool({"date_from", "date_to"} & names) and self.fill(output_path) == following.fill(output_path)

    def _value(self, output_path: Any, name: str, template: str, conversion: str | None) -> str:
        if name in ("organization_id", "zone") and not template and not conversion:
            return str(getattr(self, name))
        if name not in ("date_from", "date_to") or conversion:
            raise MakeInputError.expected("output_path", output_path, f"only the fields {_FIELDS} in braces")
        moment: datetime | None = getattr(self.time_frame, name)
        if moment is None:
            raise MakeInputError(f"output_path={output_path!r} needs a time frame with {name}: set {name}.")
        text = format_time(moment, template, self.timezone)
        if text is None:
            expectation = f"a format for strftime in the field, such as {{{name}:%Y-%m-%d}}"
            raise MakeInputError.expected("output_path", output_path, expectation)
        return text
