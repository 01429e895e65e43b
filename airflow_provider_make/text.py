"""Text for people: a server's, made safe for databases, logs and terminals, and nouns after numbers."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# PostgreSQL stores no NUL, and UTF-8 has no encoding for a surrogate.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Control characters but tab and newline, and what else changes the order or the lines of the text around it.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff]")
# Slack and others read <!channel> and <https://…|text> as markup.
_WITHOUT_MARKUP = str.maketrans("<>", "‹›")


def replace_unstorable(text: str) -> str:
    """Replace the characters that databases and files can't store: NUL and unpaired surrogates."""
    return _UNSTORABLE.sub(REPLACEMENT, text)


def replace_unprintable(text: str) -> str:
    """Replace control characters but tab and newline, such as terminal escapes; the result can also be stored."""
    return _UNPRINTABLE.sub(REPLACEMENT, text)


def to_plain_line(text: str, length: int) -> str:
    """Make text of a server one line for a message: without control characters and markup, cut to a length."""
    line = replace_unprintable(" ".join(text.split())).translate(_WITHOUT_MARKUP)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def plural(number: int, noun: str) -> str:
    """Choose the form of a noun after a number: ``request`` for 1, and ``requests`` for 0 and 2."""
    return noun if number == 1 else f"{noun}s"
