"""Hide the API token in text, in every form that a server may repeat it in."""

from __future__ import annotations

import html
import re

HIDDEN = "***"
# Make's API tokens are UUIDs. Their hyphens may be percent-encoded.
_UUID = re.compile(r"[0-9a-f]{8}(?:(?:-|%2d)[0-9a-f]{4}){3}(?:-|%2d)[0-9a-f]{12}", re.IGNORECASE)
_CREDENTIALS = re.compile(r"://[^/?#\s]*@")
# A shorter token is contained in other text by chance: the password "1" in an organization id.
_SHORTEST_TOKEN = 8


def mask_secrets(text: str) -> str:
    """Hide what looks like a token of Make, and the credentials in a URL."""
    return _CREDENTIALS.sub(f"://{HIDDEN}@", _UUID.sub(HIDDEN, text))


def mask_token(text: str, token: str) -> str:
    """Hide a token: in any case, percent-encoded, as JSON or HTML escapes it, and with control characters inside."""
    if not token:
        return text
    text = _pattern(token).sub(HIDDEN, text)
    # The text may end inside the token.
    end = text.rstrip("\N{REPLACEMENT CHARACTER}").casefold()
    for length in range(len(token) - 1, _SHORTEST_TOKEN - 1, -1):
        if end.endswith(token[:length].casefold()):
            return text[: len(end) - length] + HIDDEN
    return text


def contains_token(text: str, token: str) -> bool:
    """Decide whether text contains a token, of eight characters or more, in any form that ``mask_token`` hides."""
    # No form of a token is shorter than itself, most text is, and to compile the pattern takes some milliseconds.
    return _SHORTEST_TOKEN <= len(token) <= len(text) and _pattern(token).search(text) is not None


def _pattern(token: str) -> re.Pattern[str]:
    # Bounded repetitions: the text comes from a server, and the time to search it must not explode.
    gap = "[^ -~]{0,8}"
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
