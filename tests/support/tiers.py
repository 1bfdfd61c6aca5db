"""How much a test repeats. `make test` covers every promise once; `make test-full` adds older versions, repetitions and larger numbers."""

import os
from typing import Final, TypeVar

_T = TypeVar("_T")

FULL: Final = os.environ.get("ROLEVEND_TESTS") == "full"


def by_tier(normal: _T, full: _T) -> _T:
    """Return what this run uses: `normal` in `make test`, `full` in `make test-full`."""
    return full if FULL else normal
