"""How much a test repeats. `make test` covers every promise once; `make test-long` adds the tests that take long, and `make test-full` also
older versions, repetitions and larger numbers."""

import os
from typing import Any, Final, TypeVar

import pytest

_T = TypeVar("_T")

FULL: Final = os.environ.get("ROLEVEND_TESTS") == "full"
LONG: Final = FULL or os.environ.get("ROLEVEND_TESTS") == "long"


def by_tier(normal: _T, full: _T) -> _T:
    """Return what this run uses: `normal` in `make test`, `full` in `make test-full`."""
    return full if FULL else normal


def with_the_rest_long(first: object, *rest: object) -> list[Any]:
    """Return parameters of a test: `first` for `make test`, the others with the mark `long`."""
    return _marked(pytest.mark.long, first, rest)


def with_the_rest_full(first: object, *rest: object) -> list[Any]:
    """Return parameters of a test: `first` as the test is marked, the others for `make test-full` alone."""
    return _marked(pytest.mark.full, first, rest)


def _marked(mark: pytest.MarkDecorator, first: object, rest: tuple[object, ...]) -> list[Any]:
    return [pytest.param(*_values(first)), *(pytest.param(*_values(each), marks=mark) for each in rest)]


def _values(parameters: object) -> tuple[object, ...]:
    return parameters if isinstance(parameters, tuple) else (parameters,)
