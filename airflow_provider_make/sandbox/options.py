"""The options of a sandbox: the keyword arguments of ``Sandbox``, and the options of the command."""

from __future__ import annotations

import argparse
import math
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import partial, wraps
from inspect import signature
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, get_args

Misreading = Literal["last", "ignore"]
# Public programs have seen each of these at Make, and a 429 without any of them.
RateLimitHint = Literal["retry-after", "x-ratelimit-reset", "text"]
ValueTypes = Literal["documented", "text", "float", "number", "null"]
Plan = Literal["enterprise", "teams"]
Role = Literal["owner", "admin", "member", "accountant"]
SCOPES = ("analytics:read", "organizations:read", "scenarios:read", "teams:read", "user:read")

# The groups of the command's help.
GROUPS = (
    "organizations and their data",
    "what the token may do",
    "delays, limits and faults",
    "where Make's behaviour is not documented",
)

_PLAIN = {"int": int, "float": int | float, "str": str, "bool": bool}
_Owner = TypeVar("_Owner")
_Created = TypeVar("_Created")
_Keywords = ParamSpec("_Keywords")


def _option(default: Any, description: str, *, group: str | None = None, **keywords: Any) -> Any:
    """Create a field that is also an option of the command: with its help, its group, keywords of ``add_argument``."""
    if default is False:
        keywords["action"] = "store_true"
    elif default is True:
        keywords["action"] = argparse.BooleanOptionalAction
    elif default is not None and "choices" not in keywords:
        keywords.setdefault("type", type(default))
    if "(default: " not in description:
        description += " (default: %(default)s)"
    return field(default=default, metadata={"group": group, "keywords": {"help": description, **keywords}})


_data, _right, _fault, _variant = (partial(_option, group=title) for title in GROUPS)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a sandbox behaves. The docstring of ``Sandbox`` describes each option."""

    organization_id: int = 1
    scenarios: int = _data(250, "number of scenarios per organization")
    organizations: Mapping[int, int] | None = None
    story: bool = False
    huge_credits: bool = _data(
        False, "one scenario in a hundred uses more centicredits than fit into 64 bits (default: none does)"
    )
    seed: int = _data(0, "any integer; the same seed generates the same data")
    token: str = _option("sandbox-token", "accepted API token")
    latency: float = _fault(0.0, "seconds before each response")
    page_cap: int | None = _variant(None, "maximum entries per page (default: no cap)", type=int)
    max_limit: int | None = _variant(None, "largest pg[limit]; a larger one gets a 400 (default: any)", type=int)
    shuffle_ties: bool = _variant(
        False, "return entries with equal sort keys in a new order at each request (default: by id)"
    )
    absent_first: bool = _variant(False, "return entries without a value for the sort key first (default: last)")
    requests_per_minute: int | None = _fault(
        None, "requests allowed per organization in 60 seconds; any more get a 429 (default: no limit)", type=int
    )
    rate_limit_hint: RateLimitHint | None = _variant(
        None,
        "what a 429 contains: one of these headers, or text instead of JSON (default: JSON without a header)",
        choices=get_args(RateLimitHint),
    )
    misread_filters: Misreading | None = _variant(
        None,
        "last: use only the last of repeated teamId=1; ignore: ignore teamId[]=1 (default: both forms work)",
        choices=get_args(Misreading),
    )
    value_types: ValueTypes = _variant(
        "documented",
        "text: counts, ids and rates as text; float: counts and ids such as 5.0; number: centicredits as numbers; "
        "null: instead of absent rates",
        choices=get_args(ValueTypes),
    )
    errors_in_log: bool = _variant(
        True, "failed executions have their error in a scenario's log, or in their details only (default: in both)"
    )
    events_in_log: bool = _variant(True, "a scenario's log also has events, or executions only (default: both)")
    fault_rate: float = _fault(0.0, "share of requests with a random fault that a retry can fix, 0 to 1")
    scopes: Collection[str] = _right(SCOPES, "the token's scopes (default: all of these)", nargs="*", choices=SCOPES)
    plan: Plan = _right("enterprise", "the organizations' plan; only enterprise has analytics", choices=get_args(Plan))
    role: Role = _right("owner", "the user's role; only an owner may read analytics", choices=get_args(Role))
    elsewhere: Collection[int] = _data(
        (),
        "id of an organization in another zone; repeat the option for several (default: none)",
        type=int,
        action="append",
        metavar="ID",
    )
    host: str = _option("127.0.0.1", "address to listen on")
    port: int = 0

    def __post_init__(self) -> None:
        for option in fields(self):
            if not _has_type(getattr(self, option.name), str(option.type)):
                raise TypeError(f"{option.name} must be {option.type}, not {reprlib.repr(getattr(self, option.name))}")
        if self.organization_id in (self.organizations or {}):
            raise ValueError(f"organization {self.organization_id} is given twice")
        if both := set(self.sizes).intersection(self.elsewhere):
            raise ValueError(f"organization {min(both)} is in both zones")
        if not self.token or not all("!" <= character <= "~" for character in self.token):
            raise ValueError("token must be printable ASCII without spaces, such as sandbox-token")
        if not 0 <= self.latency < math.inf:
            raise ValueError(f"latency must be finite and not negative, not {self.latency}")
        if not 0 <= self.fault_rate <= 1:
            raise ValueError(f"fault_rate must be between 0 and 1, not {self.fault_rate}")
        for name in ("page_cap", "max_limit", "requests_per_minute"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")
        for option in fields(self):
            choices = option.metadata.get("keywords", {}).get("choices")
            if choices is None:
                continue
            if option.default is None:
                choices = (None, *choices)
            value = getattr(self, option.name)
            if wrong := [item for item in (value if option.name == "scopes" else [value]) if item not in choices]:
                raise ValueError(f"{option.name} must be one of {', '.join(map(str, choices))}, not {wrong[0]!r}")
        if wrong := [id_ for id_ in self.elsewhere if id_ < 1]:
            raise ValueError(f"elsewhere must be positive ids, not {wrong[0]}")
        if not self.host:
            # asyncio would listen on all addresses.
            raise ValueError("host must not be empty")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port must be between 0 and 65535, not {self.port}")

    @property
    def sizes(self) -> dict[int, int]:
        """The number of scenarios of each organization, by id; that of the connection first."""
        return {self.organization_id: self.scenarios, **(self.organizations or {})}


def _has_type(value: Any, annotation: str) -> bool:
    """Return whether a value fits an annotation of a type; literals are checked as choices."""
    if value is None and annotation.endswith("| None"):
        return True
    kind = annotation.removesuffix(" | None")
    if isinstance(value, bool) and kind in ("int", "float"):
        return False
    if kind == "Mapping[int, int]":
        return isinstance(value, Mapping) and all(_has_type(each, "int") for item in value.items() for each in item)
    if kind.startswith("Collection["):
        items = kind.removeprefix("Collection[").removesuffix("]")
        return isinstance(value, Collection) and not isinstance(value, str) and all(_has_type(x, items) for x in value)
    return kind not in _PLAIN or isinstance(value, _PLAIN[kind])


def accept_keywords(
    create: Callable[_Keywords, _Created],
) -> Callable[[Callable[[_Owner, _Created], None]], Callable[Concatenate[_Owner, _Keywords], None]]:
    """Let a method that takes one object accept the keyword arguments that create it instead."""

    def decorate(method: Callable[[_Owner, _Created], None]) -> Callable[Concatenate[_Owner, _Keywords], None]:
        @wraps(method)
        def call(owner: _Owner, /, *args: _Keywords.args, **keywords: _Keywords.kwargs) -> None:
            method(owner, create(*args, **keywords))

        first, *_ = signature(method).parameters.values()
        # What help(), editors and the documentation show.
        call.__signature__ = signature(method).replace(  # type: ignore[attr-defined]
            parameters=[first, *signature(create).parameters.values()]
        )
        return call

    return decorate
