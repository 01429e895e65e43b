"""Parse the Markdown documents into code blocks, tables, links and anchors, and prepare their code to run."""

from __future__ import annotations

import ast
import asyncio
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
_parse = MarkdownIt("commonmark").enable("table").parse


@dataclass(frozen=True)
class Block:
    """A code block: its language (empty if not set), its text, and its first line on the page."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return all code blocks of a page, indented ones included."""
    found = [token for token in _tokens(page) if token.type in ("fence", "code_block")]
    return [Block(token.info.strip(), token.content, token.map[0] + 1 if token.map else 0) for token in found]


def links(page: Path) -> list[str]:
    """Return the targets of all links and images of a page, HTML included."""
    found = [token.attrs.get("href") or token.attrs.get("src") for token in _tokens(page)]
    html = "".join(token.content for token in _tokens(page) if token.type in ("html_block", "html_inline"))
    return [str(target) for target in found if target] + re.findall(r'\b(?:href|src|srcset)="([^"]+)"', html)


def tables(page: Path) -> list[list[list[str]]]:
    """Return all tables of a page, as rows of unrendered cells."""
    found: list[list[list[str]]] = []
    in_cell = False
    for token in _tokens(page):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif in_cell:
            found[-1][-1].append(token.content)
        in_cell = token.type in ("th_open", "td_open")
    return found


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub creates for a page's headings."""
    headings = [text.content for token, text in pairwise(_tokens(page)) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def as_dag_file(text: str, dag_id: str) -> str:
    """Wrap operators that are outside any Dag into a Dag with this id."""
    values = [node.value for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    class_names = [
        value.func.id for value in values if isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
    ]
    if not any(name.endswith(("Operator", "Sensor")) for name in class_names):
        return text
    return (
        "import datetime as _datetime\n"
        "from airflow.providers.common.compat.sdk import DAG as _DAG\n"
        f'with _DAG("{dag_id}", schedule=None, start_date=_datetime.datetime(2026, 1, 1)) as _dag:\n'
        f"{textwrap.indent(text, '    ')}"
    )


@dataclass(frozen=True)
class Places:
    """The folders and files, or their URLs, that a piece of code writes and reads."""

    written: set[str]
    read: set[str]


def places(language: str, text: str) -> Places:
    """Return the folders, or files, of the operators, reports, datasets and databases in a piece of code."""
    written, read = set(), set(re.findall(r"read_parquet\('([^']+)'", text))
    if language == "bash":
        for words in re.findall(r"^python -m airflow_provider_make.report (\S+) -o (\S+)", text, re.MULTILINE):
            read.add(words[0])
            written.add(words[1])
    if language == "python":
        for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            if name == "write_report":
                named |= dict(zip(("source", "target"), call.args, strict=False))
            if name in ("ds.dataset", "pq.read_table"):
                named["source"] = call.args[0]
            if name == "duckdb.connect":
                named["target"] = call.args[0]
            for argument, found in (("output_path", written), ("target", written), ("source", read)):
                path = named.get(argument)
                if isinstance(path, ast.Constant) and isinstance(path.value, str):
                    found.add(path.value)
    return Places(*({_fixed_part(path) for path in paths if "/" in path} for paths in (written, read)))


def _fixed_part(path: str) -> str:
    """Return the folder above the first field or wildcard of a path, with the defaults of Airflow's variables."""
    path = re.sub(r"\{\{ var\.value\.get\('\w+', '([^']+)'\) }}", r"\1", path)
    fixed = re.split(r"[{*?[]", path)[0]
    return path if fixed == path else fixed.rpartition("/")[0]


def first_payload(trigger: Any) -> dict[str, Any]:
    """Return the payload of a trigger's first event."""

    async def first() -> Any:
        events = trigger.run()
        try:
            return await asyncio.wait_for(anext(events), 30)
        finally:
            await events.aclose()

    payload: dict[str, Any] = asyncio.run(first()).payload
    return payload


def _tokens(page: Path) -> Iterator[Token]:
    for token in _parse(page.read_text()):
        yield token
        yield from token.children or ()
