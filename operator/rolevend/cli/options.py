"""Options and arguments that several commands share, and the extra that installs a missing package.

The base install checks policies, explains and verifies without any extra.
"""

import gc
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

from rolevend.audit.event_files import audit_paths
from rolevend.errors import Rejected

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


class Manifests(click.Path):
    """Existing files and folders. To complete a word, the shell shows the words of a line as they are typed: `~` and `$HOME` are read as it
    would read them."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if ctx is not None and ctx.resilient_parsing:
            value = os.path.expanduser(os.path.expandvars(value))
        return super().convert(value, param, ctx)


READABLE = click.Path(exists=True, dir_okay=False, allow_dash=True)
READABLE_FILE = click.Path(exists=True, dir_okay=False)

_DIGEST: Final = 64
_LIFETIME = click.IntRange(5, 86_400)

FILES = click.argument("files", nargs=-1, required=True, type=READABLE, metavar="FILE...")
P = ParamSpec("P")
R = TypeVar("R")
BROUGHT_BY: Final = {
    **dict.fromkeys(("aiohttp", "kopf", "joserfc", "kubernetes", "prometheus_client", "pythonjsonlogger"), "operator"),
    **dict.fromkeys(("fastapi", "httptools", "jinja2", "scim2_models", "uvicorn"), "api"),
    **dict.fromkeys(("psycopg", "psycopg_pool"), "postgres"),
    **dict.fromkeys(("cryptography", "snowflake"), "snowflake"),
}
"""The extra by the name of the imported package."""


def output(*formats: str, help_text: str) -> Option:
    """Return the option that names the format of the result, which `printer` prints. The first format is the default."""
    return click.option("-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help=help_text)


OUTPUT = output("text", "json", "yaml", help_text="json, yaml: for programs, with all there is.")
STREAM = "json: one object per line. yaml: one document each."


def connection(help_text: str) -> Option:
    """Return the option that names a connection of the person's connections.toml."""
    return click.option("--connection", metavar="NAME", help=help_text)


def kubeconfig(help_text: str = "Default: ~/.kube/config.", variable: str = "KUBECONFIG") -> Option:
    """Return the option that names a kubeconfig. The file is read only when the cluster is called. As in kubectl, one value may name
    several files."""
    return click.option("--kubeconfig", metavar="FILE", envvar=variable, help=help_text)


def audit_files(help_text: str, *, required: bool = False, expanded: bool = True) -> Option:
    """Return the option that names files of audit events. A folder stands for the files in it. With `expanded` the command gets these."""
    return click.option(
        "--audit",
        "audit_files",
        multiple=True,
        required=required,
        type=click.Path(exists=True, allow_dash=True),
        callback=(lambda _context, _option, values: audit_files_in(values)) if expanded else None,
        metavar="FILE",
        help=f"{help_text} A folder stands for its files *.ndjson, *.ndjson.1 and so on.",
    )


def audit_files_in(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files among these files and folders. Raises BadParameter for a folder without one."""
    for value in values:
        if not list(audit_paths([value])):
            raise click.BadParameter(f"{value} holds no file whose name ends with .ndjson, such as audit.ndjson")
    return tuple(audit_paths(values))


CONTEXT = click.option("--context", metavar="NAME", help="The context of the kubeconfig. Default: its current one.")


def namespace(help_text: str = "The operator's namespace.") -> Option:
    return click.option("--namespace", envvar="ROLEVEND_NAMESPACE", default="rolevend-system", show_default=True, help=help_text)


@contextmanager
def uncollected() -> Iterator[None]:
    """Switch the garbage collector off: the objects of the command live to its end, and repeated scans of them cost time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def moment(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """Parse a day or a time; without a zone it is in UTC."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no time: write 2026-11-24, 2026-11-24T18:00 or 2026-11-24T18:00:00+01:00") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def digest(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the digest of a plan; None: none was given. A shortened one is refused by its own name: the plan did not change."""
    if value is None:
        return None
    found = value.strip().lower()
    if re.fullmatch(f"[0-9a-f]{{{_DIGEST}}}", found):
        return found
    if re.fullmatch(r"[0-9a-f]+(?:…|\.\.\.)?", found):
        wrong = "shortened" if len(found) <= _DIGEST else "too long"
        raise click.BadParameter(f"{value} is {wrong}: a digest has {_DIGEST} characters. Copy all of it from the end of the plan.")
    raise click.BadParameter(f"{value!r} is no digest: it has {_DIGEST} characters of 0-9 and a-f, and is at the end of the plan.")


def purpose(help_text: str) -> Option:
    return click.option("--purpose", default="", callback=_purpose, help=f"{help_text} Default: no purpose.")


def only_purpose(help_text: str) -> Option:
    """Return the option that limits a comparison to one purpose. Without it the value is None."""
    return click.option("--purpose", callback=_purpose, help=help_text)


def _purpose(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value:
        from rolevend.kinds.text import LABEL_PATTERN, LONGEST_LABEL, MEANINGS

        if len(value) > LONGEST_LABEL or not re.search(LABEL_PATTERN, value):
            raise click.BadParameter(f"{value!r} {MEANINGS[LABEL_PATTERN]}, and have at most {LONGEST_LABEL} characters")
    return value


def expiration_seconds(help_text: str) -> Option:
    """Return the option with the bounds and default of a VendedRole's spec."""
    return click.option("--expiration-seconds", type=_LIFETIME, default=900, show_default=True, help=help_text)


def only_expiration_seconds(help_text: str) -> Option:
    """Return the option that limits a comparison to one lifetime. Without it the value is None."""
    return click.option("--expiration-seconds", type=_LIFETIME, help=help_text)


def own(kubeconfig: str | None) -> str:
    """Return this kubeconfig; if it is None, the person's own."""
    return kubeconfig or str(Path("~/.kube/config").expanduser())


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
