"""The page's files over ASGI: public, and without any data of Airflow or Make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    # Scripts can't create HTML from text, and requests reach no other server. Airflow shows the page in a frame.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    # A browser keeps the files, and asks whether they have changed: an upgrade is seen at once.
    "cache-control": "no-cache",
}


class StaticFiles:
    """An ASGI application that serves the files of one folder, by their names."""

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close"})
            return
        status, headers, body = _respond(scope["method"], scope["path"], dict(scope["headers"]).get(b"if-none-match"))
        encoded = [(name.encode(), value.encode()) for name, value in (HEADERS | headers).items()]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _respond(method: str, path: str, if_none_match: bytes | None) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body."""
    if method not in ("GET", "HEAD"):
        return _refuse(405, "Method Not Allowed", allow="GET, HEAD")
    # Only the last part: what is before it depends on the base path, and on whether a proxy removes that.
    found = _files().get(path.rpartition("/")[2] or INDEX)
    if found is None:
        return _refuse(404, "Not Found")
    content_type, etag, body = found
    if etag in (if_none_match or b"").decode("latin-1"):
        return 304, {"etag": etag}, b""
    return 200, {"content-type": content_type, "content-length": str(len(body)), "etag": etag}, body


def _refuse(status: int, reason: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    body = reason.encode()
    return status, {"content-type": "text/plain", "content-length": str(len(body)), **headers}, body


@cache
def _files() -> dict[str, tuple[str, str, bytes]]:
    """Return content type, ETag and content of each file by its name."""
    # Only at the first request: other processes never need it.
    from hashlib import sha256

    files = {}
    for path in FOLDER.iterdir():
        if content_type := CONTENT_TYPES.get(path.suffix):
            content = path.read_bytes()
            files[path.name] = (content_type, f'"{sha256(content).hexdigest()[:32]}"', content)
    return files
