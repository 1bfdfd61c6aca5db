"""Which extra brings a package that is not there: the base install judges policies, explains and verifies without any."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from rolevend.errors import Rejected

P = ParamSpec("P")
R = TypeVar("R")

BROUGHT_BY: Final = {
    **dict.fromkeys(("aiohttp", "kopf", "joserfc", "kubernetes", "prometheus_client", "pythonjsonlogger"), "operator"),
    **dict.fromkeys(("fastapi", "httptools", "uvicorn"), "api"),
    **dict.fromkeys(("psycopg", "psycopg_pool"), "postgres"),
    **dict.fromkeys(("cryptography", "snowflake"), "snowflake"),
}
"""By the name that is imported."""


def needs(extras: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For a command that takes more than the first package it misses would tell of."""

    def told(command: Callable[P, R]) -> Callable[P, R]:
        @wraps(command)
        def run(*arguments: P.args, **options: P.kwargs) -> R:
            try:
                return command(*arguments, **options)
            except ModuleNotFoundError as error:
                if extra_of(error) is None:
                    raise
                raise packages_missing(extras) from error

        return run

    return told


def packages_missing(extras: str) -> Rejected:
    return Rejected(f"this command needs more packages; in the folder that rolevend is installed from: pip install '.[{extras}]'")


def extra_of(error: ModuleNotFoundError) -> str | None:
    """None where no extra brings it, and so something is broken."""
    return BROUGHT_BY.get((error.name or "").partition(".")[0])
