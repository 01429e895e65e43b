"""MkDocs hook: add files outside docs/ that pages link to, so that the links work in the repository and on the site."""

from __future__ import annotations

import os
import re
from collections import deque
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_LINK = re.compile(r"\]\(([^)\s#:]+)")
_OUTSIDE = re.compile(r"\]\(\.\./(?P<folder>[^)\s#]*?)(?P<python>\.py)?(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """
    Add the linked files: Python files as pages with their code, all others as they are.

    :param files: The files in docs/.
    :param config: The site's configuration.
    :return: All files.
    """
    docs = Path(config.docs_dir)
    waiting = deque(((docs / page.src_uri).parent, page.content_string) for page in files.documentation_pages())
    while waiting:
        folder, text = waiting.popleft()
        for target in _LINK.findall(text):
            path = Path(os.path.normpath(folder / target))
            if path.is_relative_to(docs) or not path.is_file():
                continue
            uri = path.relative_to(docs.parent).as_posix()
            content: str | bytes = path.read_bytes()
            if path.suffix == ".py":
                uri, content = uri.removesuffix(".py") + ".md", f"# {path.name}\n\n```python\n{path.read_text()}```\n"
            if uri not in files.src_uris:
                files.append(File.generated(config, uri, content=content))
                if path.suffix == ".md":
                    waiting.append((path.parent, path.read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """
    Change a page's links to the places of the files on the site.

    :param markdown: The Markdown of the page.
    :param page: The page.
    :param config: Not used.
    :param files: Not used.
    :return: The Markdown with the changed links.
    """
    if page.file.src_uri.startswith("reference/"):
        # Its ../ is docs/.
        return markdown
    # Of the changelog, which is next to docs/.
    markdown = markdown.replace("](docs/", "](")
    return _OUTSIDE.sub(lambda link: f"]({link['folder']}{'.md' if link['python'] else ''}", markdown)
