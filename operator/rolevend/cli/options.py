"""What several commands take."""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

FAILED = 1
"""The exit status of a command that did its work, and found something wrong."""

READABLE = click.Path(exists=True, dir_okay=False, allow_dash=True)
READABLE_FILE = click.Path(exists=True, dir_okay=False)

FILES = click.argument("files", nargs=-1, required=True, type=READABLE, metavar="FILE...")
OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: for programs, with all there is."
)


def connection(help_text: str) -> Option:
    """The name of a person's own connection to Snowflake."""
    return click.option("--connection", metavar="NAME", help=help_text)


def kubeconfig(help_text: str = "Default: ~/.kube/config.", variable: str = "KUBECONFIG") -> Option:
    """Looked at when the cluster is asked, which an `--offline` never does. Several files in one value are read as kubectl does."""
    return click.option("--kubeconfig", metavar="FILE", envvar=variable, help=help_text)


def namespace(help_text: str = "The operator's namespace.") -> Option:
    return click.option("--namespace", envvar="ROLEVEND_NAMESPACE", default="rolevend-system", show_default=True, help=help_text)


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look again and again at objects that all live to the end of the command."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def purpose(help_text: str) -> Option:
    return click.option("--purpose", default="", callback=_purpose, help=f"{help_text} Default: nothing.")


def _purpose(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value:
        from rolevend.kinds.text import LABEL_PATTERN, LONGEST_LABEL, MEANINGS

        if len(value) > LONGEST_LABEL or not re.search(LABEL_PATTERN, value):
            raise click.BadParameter(f"{value!r} {MEANINGS[LABEL_PATTERN]}, and have at most {LONGEST_LABEL} characters")
    return value


def expiration_seconds(help_text: str) -> Option:
    """As in the spec of a VendedRole."""
    return click.option("--expiration-seconds", type=click.IntRange(5, 86_400), default=900, show_default=True, help=help_text)


def own(kubeconfig: str | None) -> str:
    """The person's own kubeconfig, where none was named."""
    return kubeconfig or str(Path("~/.kube/config").expanduser())
