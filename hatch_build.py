"""Hooks of the build: README's links become absolute for PyPI, and the wheel contains the example Dags."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_VERSION = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
# Each ends with the target, if that is a path.
_IMAGE = re.compile(r"(!\[[^\]]*\]\()(?![a-z]+:|#)([^)\s]+)")
_LINK = re.compile(r"(\]\()(?![a-z]+:|#)([^)\s]+)")
_HTML_IMAGE = re.compile(r'(\bsrc(?:set)?=")(?![a-z]+:)([^"\s]+)')
_HTML_LINK = re.compile(r'(\bhref=")(?![a-z]+:|#)([^"\s]+)')


class ReadmeHook(MetadataHookInterface):
    """Set the long description, README.md; if ``[project.urls]`` has ``Repository``, with absolute links to it."""

    def update(self, metadata: dict[str, Any]) -> None:
        """
        Set ``readme`` and, with a repository, the URL of the documentation.

        :param metadata: The table ``project`` of pyproject.toml, changed in place.
        """
        root = Path(self.root)
        text = (root / "README.md").read_text()
        if repository := metadata.get("urls", {}).get("Repository"):
            (version,) = _VERSION.findall((root / "airflow_provider_make" / "__init__.py").read_text())
            text = absolute_links(text, root, repository, f"v{version}")
            metadata["urls"]["Documentation"] = f"{repository.rstrip('/')}/tree/v{version}/docs"
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


class ExamplesHook(BuildHookInterface[Any]):
    """Add the example Dags to the wheel. An editable installation finds them in the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """
        Add the files.

        :param version: ``standard`` or ``editable``.
        :param build_data: Receives the files and their places in the wheel.
        """
        if version == "standard":
            examples = (Path(self.root) / "example_dags").glob("make_*.py")
            target = "airflow_provider_make/examples/dags"
            build_data["force_include"] |= {str(path): f"{target}/{path.name}" for path in examples}


def absolute_links(markdown: str, root: Path, repository: str, tag: str) -> str:
    """
    Replace relative links by links into a GitHub repository, at the tag of a release.

    :param markdown: The text of a page in the root folder.
    :param root: The root folder, which shows whether a target is a folder.
    :param repository: The URL of the repository.
    :param tag: The tag, such as ``v1.2.3``.
    :return: The text with absolute links. Links within the page stay as they are.
    """

    def link(found: re.Match[str]) -> str:
        is_folder = (root / found[2].partition("#")[0]).is_dir()
        return f"{found[1]}{repository.rstrip('/')}/{'tree' if is_folder else 'blob'}/{tag}/{found[2]}"

    # Images first: they then have absolute links, also inside the text of a link.
    for pattern in (_IMAGE, _HTML_IMAGE):
        markdown = pattern.sub(rf"\1{repository.rstrip('/')}/raw/{tag}/\2", markdown)
    for pattern in (_LINK, _HTML_LINK):
        markdown = pattern.sub(link, markdown)
    return markdown
