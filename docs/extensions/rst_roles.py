"""Docstrings for the site: what RST roles such as ``:class:`X``` name becomes a link to its place in the reference."""

from __future__ import annotations

import re
import sys
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:attr|class|exc|func|meth|mod):`~?([\w.]+)`")


def to_link(role: re.Match[str]) -> str:
    """
    Write a role as a link in Markdown.

    :param role: The role.
    :return: The link, which the site looks for from where it stands; for Python's own names their text.
    """
    path = role[1]
    text = path.rpartition(".")[2] if "~" in role[0] else path
    return f"`{text}`" if path.partition(".")[0] in sys.stdlib_module_names else f"[`{text}`][{path}]"


class RstRoles(Extension):
    """Writes the roles of all docstrings anew."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Take an object that was loaded."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(to_link, obj.docstring.value)
