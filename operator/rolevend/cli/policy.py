"""What judges policies in files, before they are merged."""

import sys
from pathlib import Path

import click

from rolevend.cli import options

_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")
_CATALOGS = click.option(
    "--catalog",
    "catalogs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What a platform holds, as `rolevend platform catalog` wrote it. May be given again, for another platform.",
)


@click.group()
def policy() -> None:
    """Judge policies in files, before they are merged: without a cluster, without a database."""


@policy.command("check")
@_PATHS
@_CATALOGS
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="github: at its line in a pull request.",
)
def policy_check(paths: tuple[Path, ...], catalogs: tuple[Path, ...], output: str) -> None:
    """Name everything that is wrong in the objects of these files and folders, at its file, line and field.

    The judgements are the operator's own. With a catalog they include what policies match: columns that are not there, literals of the
    wrong type, selectors that select nothing. Objects of other kinds are passed over. The exit status is 1 if there is an error.
    """
    import json

    from rolevend.app.policy.check import check
    from rolevend.app.policy.folder import read_catalogs
    from rolevend.app.policy.report import as_github, as_json, as_text

    checked = check(paths, read_catalogs(catalogs))
    if output == "json":
        click.echo(json.dumps(as_json(checked), indent=2))
    else:
        click.echo(as_github(checked) if output == "github" else as_text(checked))
        for note in checked.notes:
            click.echo(f"note: {note}", err=True)
    if checked.errors:
        sys.exit(options.FAILED)
