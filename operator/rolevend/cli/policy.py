"""What judges policies in files, before they are merged."""

import sys
from pathlib import Path
from typing import Literal

import click

from rolevend.cli import options
from rolevend.cli.extras import needs

_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")


def _catalogs(*, required: bool) -> options.Option:
    return click.option(
        "--catalog",
        "catalogs",
        multiple=True,
        required=required,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="What a platform holds, as `rolevend platform catalog` wrote it. May be given again, for another platform.",
    )


_CATALOGS = _catalogs(required=True)
"""Where nothing can be told without: no catalog would look like no difference."""


@click.group()
def policy() -> None:
    """Judge policies in files, before they are merged: without a cluster, without a database."""


@policy.command("check")
@_PATHS
@_catalogs(required=False)
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

    from rolevend.policytools.check import check
    from rolevend.policytools.folder import read_catalogs
    from rolevend.policytools.report import as_github, as_json, as_text

    with options.uncollected():
        checked = check(paths, read_catalogs(catalogs))
    if output == "text":
        click.echo(as_text(checked))
        for note in checked.notes:
            click.echo(f"note: {note}", err=True)
    else:
        click.echo(as_github(checked) if output == "github" else json.dumps(as_json(checked), indent=2))
    if checked.errors:
        sys.exit(options.FAILED)


@policy.command("test")
@_PATHS
@_CATALOGS
@options.OUTPUT
@needs("policy-test")
def policy_test(paths: tuple[Path, ...], catalogs: tuple[Path, ...], output: str) -> None:
    """Try the cases in these files and folders: whether a person sees exactly these rows, so masked, through an agent.

    Each case is a role that is vended on a PostgreSQL of its own, started here and ended again, on rows that its file gives. The exit
    status is 1 if a case fails. Needs `pip install '.[policy-test]'`.
    """
    import json
    from dataclasses import asdict

    from rolevend.policytools.case_runner import run
    from rolevend.policytools.folder import read_catalogs

    tried = []
    for each in run(paths, read_catalogs(catalogs)):
        tried.append(each)
        if output == "text":
            click.echo("\n".join([f"{'FAILED' if each.failures else 'passed'}  {each.case}", *(f"        {why}" for why in each.failures)]))
    failed = sum(bool(each.failures) for each in tried)
    if output == "json":
        click.echo(json.dumps([asdict(each) for each in tried], indent=2))
    else:
        click.echo(f"{len(tried)} cases, {failed} failed")
    if failed:
        sys.exit(options.FAILED)


_TABLES = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="markdown: for the summary of a pull request.",
)
_FOLDER = click.Path(exists=True, path_type=Path)


@policy.command("diff")
@click.argument("old", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@click.option(
    "--users",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="UserAttributes of the people to decide for, instead of those in OLD and NEW. May be given again.",
)
@options.purpose("What agents would say that it is for.")
@options.expiration_seconds("For how long agents would ask for the role.")
@_CATALOGS
@_TABLES
def policy_diff(
    old: Path,
    new: Path,
    users: tuple[Path, ...],
    purpose: str,
    expiration_seconds: int,
    catalogs: tuple[Path, ...],
    output: str,
) -> None:
    """Say who gains and who loses which table, rows or column, where the objects of NEW take the place of those of OLD.

    Each user is decided for through each Agent of the two folders; where there is none, through one that may act for everybody. What is not
    in OLD yet gives nothing there. A platform that policies name needs its catalog.
    """
    import json

    from rolevend.policytools.diff import as_json, as_text, diff
    from rolevend.policytools.folder import read_catalogs

    compared = diff(old, new, users, read_catalogs(catalogs), purpose, expiration_seconds)
    if output == "json":
        click.echo(json.dumps(as_json(compared), indent=2))
        for note in compared.notes:
            click.echo(f"note: {note}", err=True)
    else:
        click.echo(as_text(compared, _form(output)))


@policy.command("backtest")
@_PATHS
@click.option(
    "--audit",
    "audit_files",
    multiple=True,
    required=True,
    type=options.READABLE,
    metavar="FILE",
    help="Audit events of the operator. May be given again; - is standard input.",
)
@click.option("--since", metavar="TIME", help="30d, 12h, or a date: only decisions from then on. Default: all in the files.")
@_CATALOGS
@_TABLES
def policy_backtest(
    paths: tuple[Path, ...], audit_files: tuple[str, ...], since: str | None, catalogs: tuple[Path, ...], output: str
) -> None:
    """Say what the requests in these audit files would have been given, or lost, by the policies in these files and folders.

    What was given then stands in the events, with all that was read of the user: nobody's attributes of today are asked. The exit status
    is 1 if nothing could be compared, or if the catalog of a platform among the files is missing.
    """
    from datetime import UTC, datetime

    from rolevend.policytools.backtest import as_json, as_text, backtest, moment
    from rolevend.policytools.folder import read_catalogs

    begin = None if since is None else moment(since, datetime.now(UTC))
    found = backtest(paths, audit_files, begin, read_catalogs(catalogs))
    click.echo(as_json(found) if output == "json" else as_text(found, _form(output)))
    if found.failed:
        sys.exit(options.FAILED)


def _form(output: str) -> Literal["text", "markdown"]:
    return "markdown" if output == "markdown" else "text"
