"""Hide the API token in text, in every form that a server may repeat it in."""

from __future__ import annotations

import html
import re
import string
from collections.abc import Iterator, Set
from functools import lru_cache
from itertools import groupby

HIDDEN = "***"
# Make's API tokens are UUIDs. Their hyphens may be percent-encoded.
_UUID = re.compile(r"[0-9a-f]{8}(?:(?:-|%2d)[0-9a-f]{4}){3}(?:-|%2d)[0-9a-f]{12}", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/?#\s]*@")
# A shorter token is contained in other text by chance: the password "1" in an organization id.
_SHORTEST_TOKEN = 8
# Unlike casefold(), it keeps the length of any text.
_TO_LOWER = {ord(letter): letter.lower() for letter in string.ascii_uppercase}
_CODE = re.compile(r"(?:%|\\u00)([0-9a-f]{2})", re.IGNORECASE)
_DROPPED = re.compile(r"[^ -~]|\\")
_MAX_ESCAPES = 4


def mask_secrets(text: str) -> str:
    """Hide what looks like a token of Make, and the credentials in a URL."""
    return _CREDENTIALS.sub(f"://{HIDDEN}@", _UUID.sub(HIDDEN, text))


def mask_token(text: str, token: str) -> str:
    """
    Hide a token: in any case, percent-encoded, as JSON or HTML escapes it, and with control characters inside.

    Of a token of eight characters or more, each piece of eight is hidden, too: servers shorten what they repeat.
    """
    if not token:
        return text
    text = _pattern(token).sub(HIDDEN, text)
    lowered = token.translate(_TO_LOWER)
    pieces = {lowered[begin : begin + _SHORTEST_TOKEN] for begin in range(len(token) - _SHORTEST_TOKEN + 1)}
    text = _mask_pieces(text, pieces)
    # Where an escaped piece begins and ends is not worth finding out.
    return HIDDEN if any(_mask_pieces(reading, pieces) != reading for reading in _unescape(text)) else text


def _mask_pieces(text: str, pieces: Set[str]) -> str:
    lowered = text.translate(_TO_LOWER)
    hidden: set[int] = set()
    for piece in pieces:
        begin = lowered.find(piece)
        while begin >= 0:
            hidden.update(range(begin, begin + len(piece)))
            begin = lowered.find(piece, begin + 1)
    if not hidden:
        return text
    runs = groupby(range(len(text)), hidden.__contains__)
    return "".join(HIDDEN if is_hidden else "".join(text[place] for place in run) for is_hidden, run in runs)


def _unescape(text: str) -> Iterator[str]:
    """Undo the escapes of URLs, JSON and HTML, one layer after the other, and drop what is not printable ASCII."""
    for _ in range(_MAX_ESCAPES):
        yield _DROPPED.sub("", text)
        before, text = text, html.unescape(_CODE.sub(lambda code: chr(int(code[1], 16)), text))
        if text == before:
            return
    yield _DROPPED.sub("", text)


def contains_token(text: str, token: str) -> bool:
    """Decide whether text contains a token, of eight characters or more, in any form that ``mask_token`` hides."""
    # No form of a token is shorter than itself, most text is, and to compile the pattern takes some milliseconds.
    return _SHORTEST_TOKEN <= len(token) <= len(text) and _pattern(token).search(text) is not None


@lru_cache
def _pattern(token: str) -> re.Pattern[str]:
    # Bounded repetitions: the text comes from a server, and the time to search it must not explode.
    # With spaces: servers fold long lines.
    gap = "[^!-~]{0,8}"
    # ASCII: otherwise letters such as the long s match "s", and so both a character and a gap.
    return re.compile(gap.join(map(_forms, token)), re.IGNORECASE | re.ASCII)


def _forms(character: str) -> str:
    code = f"{ord(character):02x}"
    forms = [
        rf"\\{{0,4}}{re.escape(character)}",
        rf"\\{{1,4}}u00{code}",
        f"%(?:25){{0,3}}{code}",
        f"&#0{{0,5}}{ord(character)};",
        f"&#x0{{0,5}}{code};",
    ]
    if (escaped := html.escape(character)) != character:
        forms.append(re.escape(escaped))
    return f"(?:{'|'.join(forms)})"
