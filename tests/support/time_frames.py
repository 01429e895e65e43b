"""Time frames that tests use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
# As arguments of the operator, and of the sandbox's truth.
LAST_WEEK: dict[str, Any] = {"date_from": MIDNIGHT - timedelta(days=7), "date_to": MIDNIGHT}
