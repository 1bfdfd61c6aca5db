"""Which mutant runs, in this process: none, until one is chosen. What mutmut writes puts `switched` around each function with mutants."""

from collections.abc import Callable
from functools import wraps
from typing import Any

MutantDict = dict[str, Callable[..., Any]]
ORIGINAL = "_mutmut_orig"

chosen: tuple[str, str] = ("", "")
"""The module and the name of the mutant."""
called: set[tuple[str, str]] | None = None
"""Where it is a set, the functions that are called are added to it: their module, and the name that mutmut has for them."""


def choose(module: str, name: str) -> None:
    global chosen
    chosen = (module, name)


def record() -> set[tuple[str, str]]:
    """From here on."""
    global called
    called = set()
    return called


def switched(mutants: MutantDict, is_classmethod: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def switching(*args: Any, **named: Any) -> Any:
            if called is not None:
                called.add((function.__module__, mutants[ORIGINAL].__name__.removesuffix("__mutmut_orig")))
            module, name = chosen
            one = mutants.get(name if module == function.__module__ else ORIGINAL) or mutants[ORIGINAL]
            return getattr(args[0], one.__name__)(*args[1:], **named) if is_classmethod else one(*args, **named)

        return switching

    return around
