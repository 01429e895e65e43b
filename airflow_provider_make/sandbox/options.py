"""The options of a sandbox: how its server behaves."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

from airflow_provider_make.sandbox.query import MISREADINGS, Misreading
from airflow_provider_make.sandbox.rate_limit import RATE_LIMIT_HINTS, RateLimitHint
from airflow_provider_make.sandbox.value_types import VALUE_TYPES, ValueTypes

Plan = Literal["enterprise", "teams"]
PLANS: tuple[str, ...] = get_args(Plan)
Role = Literal["owner", "admin", "member", "accountant"]
ROLES: tuple[str, ...] = get_args(Role)
SCOPES = ("analytics:read", "organizations:read", "teams:read", "user:read")


@dataclass(frozen=True, kw_only=True)
class Options:
    """
    How the server responds. :class:`~airflow_provider_make.sandbox.Sandbox` describes each option.

    :raises ValueError: If an option is out of range.
    """

    seed: int = 0
    token: str = "sandbox-token"
    latency: float = 0.0
    page_cap: int | None = None
    max_limit: int | None = None
    shuffle_ties: bool = False
    requests_per_minute: int | None = None
    rate_limit_hint: RateLimitHint | None = None
    misread_filters: Misreading | None = None
    value_types: ValueTypes = "documented"
    fault_rate: float = 0.0
    scopes: Collection[str] = SCOPES
    plan: Plan = "enterprise"
    role: Role = "owner"
    elsewhere: Collection[int] = ()

    def __post_init__(self) -> None:
        """Validate the options."""
        if not self.token or not all("!" <= character <= "~" for character in self.token):
            raise ValueError("token must be printable ASCII without spaces, such as sandbox-token")
        if not 0 <= self.latency < math.inf:
            raise ValueError(f"latency must be finite and not negative, not {self.latency}")
        for name in ("page_cap", "max_limit", "requests_per_minute"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")
        if wrong := [id_ for id_ in self.elsewhere if id_ < 1]:
            raise ValueError(f"elsewhere must be positive ids, not {wrong[0]}")
        if not 0 <= self.fault_rate <= 1:
            raise ValueError(f"fault_rate must be between 0 and 1, not {self.fault_rate}")
        for name, choices in (
            ("rate_limit_hint", (None, *RATE_LIMIT_HINTS)),
            ("misread_filters", (None, *MISREADINGS)),
            ("value_types", VALUE_TYPES),
            ("plan", PLANS),
            ("role", ROLES),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}, not {getattr(self, name)!r}")
        if unknown := [scope for scope in self.scopes if scope not in SCOPES]:
            raise ValueError(f"scopes must be of {', '.join(SCOPES)}, not {unknown[0]!r}")
