"""Run a command of this package: what it prints fits any terminal, and a reader that has gone is no traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn, TextIO


def run(main: Callable[[], int]) -> NoReturn:
    """Run the main function of a command, and exit with the code that it returns, or 1 if its output fails."""
    # Without one of them, print and argparse would write to the other: an error would be the path of a report.
    sys.stdout = sys.stdout or _discarding()
    sys.stderr = sys.stderr or _discarding()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # In the locale C, for example, a name with ü is no error, but escaped.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            sys.exit(main())
        finally:
            # Also what argparse prints.
            sys.stdout.flush()
    except KeyboardInterrupt:
        # As a shell has it for SIGINT.
        code = 130
    except BrokenPipeError:
        code = 1
    except OSError as error:
        print_error(f"The output can't be written: {error}")
        code = 1
    discard_output()
    sys.exit(code)


def print_error(error: object) -> None:
    """Print an error in one line: those of some libraries have several."""
    print(" ".join(str(error).split()), file=sys.stderr)


def discard_output() -> None:
    """Discard what is left to print, which would fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _discarding() -> TextIO:
    return open(os.devnull, "w")
