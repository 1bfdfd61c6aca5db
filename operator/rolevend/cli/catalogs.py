"""The catalogs that a command judges with: from files, or from the cluster."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rolevend.cli import options, printer
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.policytools.folder import Catalogs

OPERATOR_NAMESPACE = click.option(
    "--operator-namespace",
    envvar="ROLEVEND_NAMESPACE",
    default="rolevend-system",
    show_default=True,
    help="The operator's namespace, in which it publishes catalogs.",
)


@dataclass(frozen=True, slots=True)
class CatalogSource:
    """The places of the catalogs, as a person named them."""

    files: tuple[Path, ...]
    kubeconfig: str | None
    namespace: str

    def read(self, judged: Sequence[Path] = ()) -> "Catalogs":
        """Return the catalogs in the files. Without any, return those that the operator publishes, and print notes on their age.

        `judged` are files with DataPlatforms: of others no published catalog is returned. Empty: of all.
        """
        if not self.files:
            return self._published(judged)
        from rolevend.policytools.folder import read_catalogs

        return read_catalogs(self.files)

    @needs("operator")
    def _published(self, judged: Sequence[Path]) -> "Catalogs":
        import asyncio
        from datetime import UTC, datetime

        from rolevend.errors import Rejected
        from rolevend.kinds import DataPlatform
        from rolevend.model import PlatformName
        from rolevend.policytools.folder import Folder
        from rolevend.policytools.published_catalogs import read_published_catalogs

        where = options.own(self.kubeconfig)
        if not any(Path(each).expanduser().is_file() for each in where.split(":")):
            raise Rejected(f"no catalog is named, and there is no kubeconfig {where} to read published ones: name a --catalog")
        platforms = {PlatformName(each.name) for each in Folder.read(judged).of(DataPlatform)} if judged else None
        published = asyncio.run(read_published_catalogs(where, self.namespace, datetime.now(UTC), platforms))
        printer.note(published.notes)
        return published.catalogs


def catalog_options(default: str = "the catalogs that the operator publishes in the cluster") -> options.Option:
    """Return the options of the catalogs. The command gets one argument `catalogs` for all of them, a CatalogSource."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            "--catalog",
            "catalogs",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help=f"A catalog that `rolevend platform catalog` wrote. Repeat it for each platform. Default: {default}.",
        )
        @OPERATOR_NAMESPACE
        @options.kubeconfig()
        @wraps(command)
        def run(*arguments: Any, catalogs: tuple[Path, ...], operator_namespace: str, kubeconfig: str | None, **others: Any) -> Any:
            return command(*arguments, catalogs=CatalogSource(catalogs, kubeconfig, operator_namespace), **others)

        return run

    return decorate
