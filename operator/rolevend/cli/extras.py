"""Name the extra that installs a missing package. The base install checks policies, explains and verifies without any extra."""

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
"""The extra by the name of the imported package."""


def needs(extras: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a command that needs several extras: name all of them, not only the one of the first missing package."""

    def decorate(command: Callable[P, R]) -> Callable[P, R]:
        @wraps(command)
        def run(*arguments: P.args, **options: P.kwargs) -> R:
            try:
                return command(*arguments, **options)
            except ModuleNotFoundError as error:
                if extra_of(error) is None:
                    raise
                raise packages_missing(extras) from error

        return run

    return decorate


def packages_missing(extras: str) -> Rejected:
    return Rejected(f"this command needs more packages; in the folder that rolevend is installed from: pip install '.[{extras}]'")


def extra_of(error: ModuleNotFoundError) -> str | None:
    """Return the extra that installs the missing package, or None if no extra does: then the installation is broken."""
    return BROUGHT_BY.get((error.name or "").partition(".")[0])
