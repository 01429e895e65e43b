"""Validate a changelog: the format of Keep a Changelog 1.1.0, and a section for the version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from packaging.version import Version

UNRELEASED = "[Unreleased]"
CHANGE_TYPES = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
_RELEASE = re.compile(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})")


def problems(text: str, version: str) -> Iterator[str]:
    """Find the problems of a changelog, for a project with this version."""
    head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    if not head.startswith("# Changelog\n"):
        yield "the title is not '# Changelog'"
    headings = [section.partition("\n")[0] for section in sections]
    for heading, section in zip(headings, sections, strict=True):
        if heading != UNRELEASED and _release(heading) is None:
            yield f"'{heading}' is neither {UNRELEASED} nor like '[1.2.3] - 2026-01-31'"
        yield from _problems_of_section(heading, section)
    if UNRELEASED in headings[1:]:
        yield f"{UNRELEASED} is not on top"
    releases = [release for heading in headings if (release := _release(heading))]
    versions, days = [number for number, _ in releases], [day for _, day in releases]
    if versions != sorted(set(versions), reverse=True) or days != sorted(days, reverse=True):
        yield "releases do not go from the newest to the oldest, each once"
    is_next = UNRELEASED in headings and all(Version(version) > number for number in versions)
    if Version(version) not in versions and not is_next:
        yield f"{version} has no section, and is not the next release"


def _release(heading: str) -> tuple[Version, date] | None:
    match = _RELEASE.fullmatch(heading)
    try:
        return match and (Version(match[1]), date.fromisoformat(match[2]))
    except ValueError:
        return None


def _problems_of_section(heading: str, section: str) -> Iterator[str]:
    parts = [part.partition("\n") for part in re.split(r"^### ", section, flags=re.MULTILINE)[1:]]
    types = [change_type for change_type, _, _ in parts]
    yield from (
        f"'{heading}' has '{change_type}', which is not one of {', '.join(CHANGE_TYPES)}"
        for change_type in types
        if change_type not in CHANGE_TYPES
    )
    yield from (
        f"'{heading}' has '{change_type}' without an entry" for change_type, _, text in parts if not _has_entry(text)
    )
    if len(set(types)) < len(types):
        yield f"'{heading}' has a type of change twice"
    if heading != UNRELEASED and not parts:
        yield f"'{heading}' has no changes"


def _has_entry(text: str) -> bool:
    return re.search(r"^- \S", text, flags=re.MULTILINE) is not None
