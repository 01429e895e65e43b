"""Faults on request: what goes wrong between Make and a client, and how each is written."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass

from aiohttp import web

from airflow_provider_make.sandbox.refusals import Refusal

_PLAIN_KINDS = ("401", "403", "reset", "truncate", "html", "empty", "shape", "redirect")
_SERVER_ERROR = re.compile(r"5[0-9][0-9]")
_HTML = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"


@dataclass(frozen=True)
class Fault:
    """
    One thing that goes wrong with one request.

    :param kind: ``429``, ``401`` and ``403`` (errors in Make's shape), ``500`` to ``599`` (with HTML),
        ``reset`` (the connection is aborted without an answer), ``truncate`` (the body ends too early),
        ``stall`` (the answer comes late), ``html`` (200 with HTML), ``empty`` (200 without a body), ``shape``
        (200 with JSON of another shape) or ``redirect`` (302 to the sandbox under another host name).
    :param seconds: For ``429`` and ``5xx`` the whole seconds of a ``Retry-After`` header, which by default is
        absent; for ``stall`` the seconds before the answer, more than 0; for other kinds ``None``.
    :raises ValueError: If there is no such fault.
    """

    kind: str
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no fault."""
        if self.kind == "stall":
            if self.seconds is None or not 0 < self.seconds < float("inf"):
                raise ValueError("stall needs its seconds, such as stall:5")
        elif self.kind == "429" or _SERVER_ERROR.fullmatch(self.kind):
            if self.seconds is not None and (self.seconds < 0 or self.seconds % 1 != 0):
                raise ValueError(f"Retry-After is a whole number of seconds, such as {self.kind}:2")
        elif self.kind not in _PLAIN_KINDS:
            raise ValueError(
                f"unknown fault {self.kind!r}; there are 429, 500 to 599, stall, {', '.join(_PLAIN_KINDS)}"
            )
        elif self.seconds is not None:
            raise ValueError(f"fault {self.kind} takes no seconds")

    def __str__(self) -> str:
        """Write the fault as :meth:`parse` reads it."""
        return self.kind if self.seconds is None else f"{self.kind}:{self.seconds:g}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """
        Read a fault.

        :param text: A kind, and after a colon the seconds if any: ``429``, ``429:2``, ``stall:0.5``.
        :return: The fault.
        :raises ValueError: If there is no such fault.
        """
        kind, colon, seconds = text.strip().partition(":")
        if not colon:
            return cls(kind)
        try:
            return cls(kind, float(seconds))
        except ValueError as error:
            raise ValueError(f"fault {text!r}: {error}") from None


# Those a client should get over by asking again; what a fault rate draws from.
RECOVERABLE = tuple(map(Fault.parse, ("429", "429:1", "500", "503", "reset", "truncate")))


def refuse(refusal: Refusal) -> web.Response:
    """
    Turn a refusal into an answer.

    :param refusal: What is wrong with the request.
    :return: The answer.
    """
    response = web.json_response(refusal.body(), status=refusal.status)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response


async def answer_with(fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
    """
    Do what a fault does to a request.

    :param fault: The fault.
    :param request: The request.
    :return: The wrong answer; ``None`` if the right one is to follow.
    """
    seconds = None if fault.seconds is None else int(fault.seconds)
    match fault.kind:
        case "stall":
            await asyncio.sleep(fault.seconds or 0)
            return None
        case "429":
            return refuse(Refusal(429, retry_after=seconds))
        case "401" | "403":
            return refuse(Refusal(int(fault.kind)))
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
        # Without lingering the client sees a reset; closing alone would look like an orderly end.
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
