"""Read the lines of files, each with its file name and number."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rolevend.audit.chain import Line
from rolevend.errors import InvalidInput

STANDARD_INPUT = "-"


def lines_of(files: Iterable[str]) -> Iterator[Line]:
    """Read file after file; `-` is standard input. Raises InvalidInput."""
    for name in files:
        try:
            with sys.stdin.buffer if name == STANDARD_INPUT else Path(name).open("rb") as file:
                for number, text in enumerate(file, start=1):
                    yield Line(f"{name}:{number}", text)
        except OSError as error:
            raise InvalidInput(name, f"cannot be read: {error.strerror or error}") from error
