"""Time frames that tests use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
# The ends of March at 01:00: of this year, and of the last one.
_MARCHES = [datetime(year, 3, 31, 1, tzinfo=UTC) for year in (MIDNIGHT.year, MIDNIGHT.year - 1)]
_SUNDAYS = [day - timedelta(days=day.isoweekday() % 7) for day in _MARCHES]
# When the clocks in Prague were last turned forward, at 02:00.
CLOCKS_FORWARD = next(sunday for sunday in _SUNDAYS if sunday < MIDNIGHT - timedelta(days=2))
# As arguments of the operator, and of the sandbox's truth.
LAST_WEEK: dict[str, Any] = {"date_from": MIDNIGHT - timedelta(days=7), "date_to": MIDNIGHT}
