"""What goes wrong on purpose: refusals in the shape of Make's API, the rate limit, and faults that are injected."""

from __future__ import annotations

import asyncio
import math
import re
import socket
import struct
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from airflow_provider_make.sandbox.options import RateLimitHint

_MESSAGES = {
    400: ("Bad Request", "Validation failed for {} parameter(s)."),
    401: ("Unauthorized", "Access denied."),
    403: ("Permission denied", "Access denied."),
    404: ("Not found", "There is nothing at this path."),
    405: ("Method not allowed", "This path does not support the method."),
    413: ("Payload too large", "The outputs are larger than maxBytes."),
    429: ("Requests limit for organization exceeded, please try again later.", "Too many requests."),
}


class Refusal(Exception):
    """A request is refused: with a problem in each suberror if there are any, or with plain text in place of JSON."""

    def __init__(
        self,
        status: int,
        suberrors: Sequence[str] = (),
        *,
        headers: Mapping[str, str] | None = None,
        text: str | None = None,
    ) -> None:
        self.status = status
        self.message, detail = _MESSAGES[status]
        self.detail = detail.format(len(suberrors))
        self.suberrors = tuple(suberrors)
        self.headers = headers
        self.text = text
        super().__init__(" ".join([f"{status} {self.message}", *suberrors]))

    def response(self) -> web.Response:
        if self.text is not None:
            return web.Response(text=self.text, status=self.status, headers=self.headers)
        body: dict[str, object] = {"detail": self.detail, "message": self.message, "code": f"SC{self.status}"}
        if self.suberrors:
            body["suberrors"] = [{"message": message, "name": "Error"} for message in self.suberrors]
        return web.json_response(body, status=self.status, headers=self.headers)


def too_many_requests(hint: RateLimitHint | None, seconds: int = 0) -> Refusal:
    """Build the refusal of a request over the rate limit; with a hint that is a header, until then in seconds."""
    if hint == "retry-after":
        return Refusal(429, headers={"Retry-After": str(seconds)})
    if hint == "x-ratelimit-reset":
        # Rounded up: a client that waits until then is not early.
        reset = math.ceil(time.time() + seconds)
        return Refusal(429, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)})
    return Refusal(429, text="Too many requests." if hint == "text" else None)


class RateLimit:
    """Count the requests of each organization in the last minute; those over the limit are not counted."""

    def __init__(self, requests_per_minute: int | None, hint: RateLimitHint | None) -> None:
        self._requests_per_minute = requests_per_minute
        self._hint = hint
        self._counted_at: defaultdict[int, deque[float]] = defaultdict(deque)

    def count(self, organization_id: int) -> None:
        if self._requests_per_minute is None:
            return
        counted_at = self._counted_at[organization_id]
        now = time.monotonic()
        while counted_at and counted_at[0] <= now - 60:
            counted_at.popleft()
        if len(counted_at) >= self._requests_per_minute:
            raise too_many_requests(self._hint, math.ceil(counted_at[0] + 60 - now))
        counted_at.append(now)


_KINDS_WITHOUT_SECONDS = (
    *("400", "401", "403", "404", "firewall"),
    *("reset", "truncate", "html", "empty", "shape", "redirect"),
)
_SERVER_ERROR = re.compile(r"5[0-9][0-9]")
_REFUSED_PARAMETERS = {
    "detail": ["Invalid value of parameter 'teamId'.", "Invalid value of parameter 'status'."],
    "message": "Bad Request",
    "code": "SC400",
    "suberrors": [],
}
_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"


@dataclass(frozen=True)
class Fault:
    """
    A fault of one request.

    :param kind: ``429``, ``401``, ``403`` and ``404`` (errors in Make's shape), ``400`` (in Make's other shape:
        ``detail`` is a list, and ``suberrors`` is empty), ``429-reset`` (with ``X-RateLimit-Reset``), ``firewall``
        (403 with plain text), ``500`` to ``599`` (with HTML), ``reset`` (the connection is aborted without a
        response), ``truncate`` (the body ends too early), ``stall`` (the response is delayed), ``html`` (200 with
        HTML), ``empty`` (200 without a body), ``shape`` (200 with JSON of another shape) or ``redirect`` (302 to the
        sandbox under another host name).
    :param seconds: For ``429`` and ``5xx``: the ``Retry-After`` header, in whole seconds; ``None`` (default) sends
        none. For ``429-reset``: whole seconds until the reset. For ``stall``: the delay of the response, more than 0.
        For other kinds: ``None``.
    :raises ValueError: If the kind is unknown, or the seconds don't fit it.
    :raises TypeError: If the kind is not text, or the seconds are not a number.
    """

    kind: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise TypeError(f"the kind of a fault must be text, not {type(self.kind).__name__}")
        if self.seconds is not None and (isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float)):
            raise TypeError(f"the seconds of a fault must be a number, not {type(self.seconds).__name__}")
        if self.kind == "stall":
            if self.seconds is None or not 0 < self.seconds < float("inf"):
                raise ValueError("stall needs seconds above 0, such as stall:5")
        elif self.kind in ("429", "429-reset") or _SERVER_ERROR.fullmatch(self.kind):
            is_missing = self.kind == "429-reset" and self.seconds is None
            if is_missing or (self.seconds is not None and (self.seconds < 0 or self.seconds % 1 != 0)):
                raise ValueError(f"{self.kind} expects a whole number of seconds, such as {self.kind}:2")
        elif self.kind not in _KINDS_WITHOUT_SECONDS:
            known = f"429, 429-reset, 500 to 599, stall, {', '.join(_KINDS_WITHOUT_SECONDS)}"
            raise ValueError(f"unknown fault {self.kind!r}; expected one of {known}")
        elif self.seconds is not None:
            raise ValueError(f"fault {self.kind} does not accept seconds")

    def __str__(self) -> str:
        """Return the text that :meth:`parse` accepts."""
        return self.kind if self.seconds is None else f"{self.kind}:{str(self.seconds).removesuffix('.0')}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """
        Parse a fault.

        :param text: A kind, and optionally a colon and the seconds: ``429``, ``429:2``, ``stall:0.5``.
        :return: The fault.
        :raises ValueError: If the kind is unknown, or the seconds don't fit it.
        :raises TypeError: If it is not text.
        """
        if not isinstance(text, str):
            raise TypeError(f"a fault must be text, not {type(text).__name__}")
        kind, colon, seconds = text.strip().partition(":")
        if not colon:
            return cls(kind)
        try:
            return cls(kind, float(seconds))
        except ValueError as error:
            raise ValueError(f"fault {text!r}: {error}") from None


# Faults that a retry can fix soon; a fault rate chooses among them. A 429 without seconds means a whole minute.
RECOVERABLE = tuple(map(Fault.parse, ("429:1", "500", "503", "reset", "truncate")))


async def fault_response(fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
    """Apply a fault to a request; return the faulty response, or ``None`` if the correct one should follow."""
    seconds = None if fault.seconds is None else int(fault.seconds)
    match fault.kind:
        case "stall":
            await asyncio.sleep(fault.seconds or 0)
            return None
        case "429":
            hint: RateLimitHint | None = None if seconds is None else "retry-after"
            return too_many_requests(hint, seconds or 0).response()
        case "429-reset":
            return too_many_requests("x-ratelimit-reset", seconds or 0).response()
        case "400":
            return web.json_response(_REFUSED_PARAMETERS, status=400)
        case "401" | "403" | "404":
            return Refusal(int(fault.kind)).response()
        case "firewall":
            return Refusal(403, text="error code: 1010").response()
        case "reset":
            return _reset(request)
        case "truncate":
            return await _truncate(request)
        case "html":
            return web.Response(text=_HTML.format("Sign in"), content_type="text/html")
        case "empty":
            return web.Response(content_type="application/json")
        case "shape":
            return web.json_response({"analytics": {"rows": []}, "total": None})
        case "redirect":
            other = "127.0.0.1" if request.url.host == "localhost" else "localhost"
            return web.Response(status=302, headers={"Location": str(request.url.with_host(other))})
    headers = None if seconds is None else {"Retry-After": str(seconds)}
    page = _HTML.format(f"{fault.kind} Server Error")
    return web.Response(status=int(fault.kind), text=page, content_type="text/html", headers=headers)


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        # With a linger time of zero the client sees a reset; a plain close would look like an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _truncate(request: web.BaseRequest) -> web.StreamResponse:
    part = b'{"total": {"executions": 1, "operations": 1, "centicredits": "1", "err'
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    response.content_length = 10 * len(part)
    await response.prepare(request)
    await response.write(part)
    if request.transport is not None:
        request.transport.close()
    return response
