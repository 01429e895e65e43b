"""Files outside docs/ that pages link to, such as example Dags: on the site too, so that one link serves both."""

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
    Add the files: a Python file as a page that shows it, all others as they are.

    :param files: The files of docs/.
    :param config: The site's configuration.
    :return: All files.
    """
    docs = Path(config.docs_dir)
    waiting = deque((docs, page.content_string) for page in files.documentation_pages())
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
    Lead a page's links to where the files are on the site.

    :param markdown: The page.
    :param page: Not needed.
    :param config: Not needed.
    :param files: Not needed.
    :return: The page with its links.
    """
    return _OUTSIDE.sub(lambda link: f"]({link['folder']}{'.md' if link['python'] else ''}", markdown)
