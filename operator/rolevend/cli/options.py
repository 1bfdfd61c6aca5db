"""Options and arguments that several commands share."""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

Option = Callable[[Callable[..., Any]], Callable[..., Any]]

READABLE = click.Path(exists=True, dir_okay=False, allow_dash=True)
READABLE_FILE = click.Path(exists=True, dir_okay=False)

FILES = click.argument("files", nargs=-1, required=True, type=READABLE, metavar="FILE...")


def output(*formats: str, help_text: str) -> Option:
    """Return the option that names the format of the result, which `printer` prints. The first format is the default."""
    return click.option("-o", "--output", type=click.Choice(formats), default=formats[0], show_default=True, help=help_text)


OUTPUT = output("text", "json", help_text="json: for programs, with all there is.")


def connection(help_text: str) -> Option:
    """Return the option that names a connection of the person's connections.toml."""
    return click.option("--connection", metavar="NAME", help=help_text)


def kubeconfig(help_text: str = "Default: ~/.kube/config.", variable: str = "KUBECONFIG") -> Option:
    """Return the option that names a kubeconfig. The file is read only when the cluster is called. As in kubectl, one value may name
    several files."""
    return click.option("--kubeconfig", metavar="FILE", envvar=variable, help=help_text)


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


def purpose(help_text: str) -> Option:
    return click.option("--purpose", default="", callback=_purpose, help=f"{help_text} Default: no purpose.")


def _purpose(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if value:
        from rolevend.kinds.text import LABEL_PATTERN, LONGEST_LABEL, MEANINGS

        if len(value) > LONGEST_LABEL or not re.search(LABEL_PATTERN, value):
            raise click.BadParameter(f"{value!r} {MEANINGS[LABEL_PATTERN]}, and have at most {LONGEST_LABEL} characters")
    return value


def expiration_seconds(help_text: str) -> Option:
    """Return the option with the bounds and default of a VendedRole's spec."""
    return click.option("--expiration-seconds", type=click.IntRange(5, 86_400), default=900, show_default=True, help=help_text)


def own(kubeconfig: str | None) -> str:
    """Return this kubeconfig; if it is None, the person's own."""
    return kubeconfig or str(Path("~/.kube/config").expanduser())
