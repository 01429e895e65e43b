"""MkDocs hook: link to the repository in the header of each page, once ``pyproject.toml`` has its URL."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """
    Read the URL of the repository from the only place that has it.

    :param config: The site's configuration.
    :return: The configuration, with the repository's URL and name if there is one.
    """
    project = tomllib.loads((Path(config.docs_dir).parent / "pyproject.toml").read_text())["project"]
    if url := project["urls"].get("Repository"):
        config.repo_url, config.repo_name = url, project["name"]
    return config
