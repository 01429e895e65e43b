"""MkDocs hook: give each cell of a table its column's heading, which a phone shows where rows are stacked."""

from __future__ import annotations

import re
from html import escape, unescape
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_HEADING = re.compile(r"<th[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<td(?=[ >])")
_TAG = re.compile(r"<[^>]+>")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """
    Add ``data-label`` to the cells of all tables.

    :param html: The page's content.
    :param page: Not used.
    :param config: Not used.
    :param files: Not used.
    :return: The content with labels.
    """
    return _TABLE.sub(lambda table: with_labels(table[0]), html)


def with_labels(table: str) -> str:
    """
    Add ``data-label`` to the cells of a table.

    :param table: The table, as Python-Markdown writes it.
    :return: The table with labels; the first cell of a row is its heading, and has none.
    """
    labels = [escape(unescape(_TAG.sub("", heading)), quote=True) for heading in _HEADING.findall(table)]

    def row(found: re.Match[str]) -> str:
        number = count()

        def cell(_: re.Match[str]) -> str:
            label = labels[at] if (at := next(number)) and at < len(labels) else ""
            return f'<td data-label="{label}"' if label else "<td"

        return _CELL.sub(cell, found[0])

    return _ROW.sub(row, table)
