"""File systems and users whose limits are real."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change owners and mount file systems")


@contextmanager
def mounted(options: str) -> Iterator[Path]:
    """Mount an empty tmpfs, with options such as ``size=64k``."""
    folder = Path(tempfile.mkdtemp(prefix="tmpfs-"))
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"no mount command: {error}")
    try:
        if done.returncode:
            pytest.skip(f"this machine does not allow mounting: {done.stderr}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    finally:
        folder.rmdir()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run the block with the rights of a user who owns nothing. Only root can."""
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """Create a temporary folder that other users can reach, unlike pytest's, and write to."""
    folder = Path(tempfile.mkdtemp(prefix="for-all-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
