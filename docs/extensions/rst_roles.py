"""Griffe extension: convert RST roles in docstrings, such as ``:class:`X```, to links into the reference."""

from __future__ import annotations

import re
import sys
from typing import Any

from griffe import Extension, Object

_ROLE = re.compile(r":(?:attr|class|exc|func|meth|mod):`~?([\w.]+)`")


def to_link(role: re.Match[str]) -> str:
    """
    Convert a role to a Markdown link.

    :param role: The match of the role.
    :return: The link, with a target that the site resolves relative to the object; for names of Python's standard
        library, only the name as code.
    """
    path = role[1]
    text = path.rpartition(".")[2] if "~" in role[0] else path
    return f"`{text}`" if path.partition(".")[0] in sys.stdlib_module_names else f"[`{text}`][{path}]"


class RstRoles(Extension):
    """Converts the roles in all docstrings."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Convert the roles in the docstring of a loaded object."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(to_link, obj.docstring.value)
