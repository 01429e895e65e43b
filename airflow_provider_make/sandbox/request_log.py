"""One line for each request to the sandbox, safe to print in any terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_LONGEST = 300


@dataclass
class Outcome:
    """
    What became of a request.

    :param status: The HTTP status of the response; ``None`` (default) if there was none.
    :param entries: The number of entries in the page; ``None`` (default) if the response is not a page.
    :param fault: The injected fault, ``None`` by default.
    """

    status: int | None = None
    entries: int | None = None
    fault: str | None = None


def describe_request(
    method: str, path: str, query: Iterable[tuple[str, str]], outcome: Outcome, seconds: float, *, token: str
) -> str:
    r"""
    Describe a request and its outcome.

    :param method: HTTP method.
    :param path: Decoded path.
    :param query: Decoded names and values of the query.
    :param outcome: The outcome.
    :param seconds: The time until the response, in seconds.
    :param token: The API token, which is masked if the path or the query contains it.
    :return: Printable ASCII without line breaks, such as ``GET /api/v2/analytics/1?pg[limit]=2 200, 2 entries, 3 ms``.
        Other characters are escapes such as ``\n``; a long path or query is cut.
    """
    parameters = "&".join(f"{name}={value}" for name, value in query)
    target = f"{path}?{parameters}" if parameters else path
    target = ascii(target.replace(token, "***"))[1:-1]
    if len(target) > _LONGEST:
        target = f"{target[:_LONGEST]}..."
    parts = ["no response" if outcome.status is None else str(outcome.status)]
    if outcome.fault is not None:
        parts.append(f"fault {outcome.fault}")
    if outcome.entries is not None:
        parts.append("1 entry" if outcome.entries == 1 else f"{outcome.entries} entries")
    return f"{ascii(method)[1:-1]} {target} {', '.join(parts)}, {1000 * seconds:.0f} ms"
