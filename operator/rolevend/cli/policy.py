"""Commands that judge policies in files, before the files are merged."""

from pathlib import Path

import click

from rolevend.cli import colour, options, printer
from rolevend.cli.catalogs import CatalogSource, catalog_options
from rolevend.cli.options import needs

_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH...")


@click.group()
def policy() -> None:
    """Check, test and compare policies in files, before they are merged. With --catalog no cluster is needed."""


@policy.command("check")
@_PATHS
@catalog_options("none, unless --published is set")
@click.option("--published", is_flag=True, help="Check with the catalogs that the operator publishes in the cluster.")
@options.output("text", "json", "yaml", "github", help_text="github: annotations at the lines of a pull request.")
def policy_check(paths: tuple[Path, ...], catalogs: CatalogSource, output: str, *, published: bool) -> None:
    """Report each error in the objects of these files and folders, with its file, line and field.

    The checks are the operator's own. With a catalog they include the tables that policies match: unknown columns, literals of the wrong
    type, selectors that select nothing. With UserAttributes they warn of attribute values that nobody has, and of policies that cover
    nobody. The command skips objects of other kinds. The exit status is 1 if there is an error.
    """
    from rolevend.policytools.check import check
    from rolevend.policytools.report import as_github, as_json, as_text

    if published and catalogs.files:
        raise click.UsageError("name --published or --catalog, not both")
    with options.uncollected():
        checked = check(paths, catalogs.read(paths) if published or catalogs.files else {})
    printer.show(output, lambda: as_json(checked), colour.CHECK, text=lambda: as_text(checked), github=lambda: as_github(checked))
    if output == "text":
        printer.note(checked.notes)
    printer.exit_if(checked.errors)


@policy.command("test")
@_PATHS
@catalog_options()
@options.OUTPUT
@needs("policy-test")
def policy_test(paths: tuple[Path, ...], catalogs: CatalogSource, output: str) -> None:
    """Run the test cases in these files and folders: a user must see exactly the expected rows, with the expected masks, through an agent.

    The command starts a temporary PostgreSQL, inserts the rows of each file, and vends a role for each case. The exit status is 1 if a
    case fails. Notes on standard error name attribute values that nobody has. Needs `pip install '.[policy-test]'`.
    """
    from rolevend.policytools.case_runner import Tried, run

    def line(each: Tried) -> str:
        return "\n".join([f"{'FAILED' if each.failures else 'passed'}  {each.case}", *(f"        {why}" for why in each.failures)])

    tried = []
    for each in run(paths, catalogs.read(paths), lambda doubt: printer.note([doubt])):
        tried.append(each)
        if output == "text":
            printer.show_text(line(each), colour.CASES)
    failed = sum(bool(each.failures) for each in tried)
    printer.show(output, lambda: tried, colour.CASES, text=lambda: f"{len(tried)} cases, {failed} failed")
    printer.exit_if(failed)


_TABLES = options.output("text", "markdown", "json", "yaml", help_text="markdown: for the summary of a pull request.")
_FOLDER = click.Path(exists=True, path_type=Path)


@policy.command("diff")
@click.argument("old", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@click.option(
    "--users",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH",
    help="Compare for the UserAttributes in these files and folders instead of those in OLD and NEW. Repeatable.",
)
@options.only_purpose("Try only this purpose. Default: none, each one that something in OLD or NEW names, and any other.")
@options.only_expiration_seconds("Try only this lifetime. Default: each one that a condition distinguishes.")
@catalog_options()
@_TABLES
def policy_diff(
    old: Path,
    new: Path,
    users: tuple[Path, ...],
    purpose: str | None,
    expiration_seconds: int | None,
    catalogs: CatalogSource,
    output: str,
) -> None:
    """Report which user gains or loses which table, rows or column if the objects of NEW replace the objects of OLD, and in sections of
    its own what users could get by asking for an offer, automatically or by people.

    The command decides for each user through each Agent of the two folders; without any Agent, through one that may act for every user; and
    through agents that no file has, for attributes that a DataPlatform can give them and that no Agent has. It tries each purpose and each
    lifetime that something in the folders names. Notes say what it did not try: a statement that no tried request meets, values that no
    user has, and all beyond its bounds. A purpose that nothing names is an error. An object that is missing from OLD grants nothing there.
    Each platform that a policy names needs its catalog.
    """
    from rolevend.policytools.diff import diff
    from rolevend.policytools.diff_report import as_json, as_text

    compared = diff(old, new, users, catalogs.read([old, new]), purpose, expiration_seconds)
    printer.show(
        output,
        lambda: as_json(compared),
        colour.DIFF,
        text=lambda: as_text(compared, "text"),
        markdown=lambda: as_text(compared, "markdown"),
    )
    if output in printer.PROGRAMS:
        printer.note(compared.notes)


@policy.command("backtest")
@_PATHS
@options.audit_files("A file of the operator's audit events. Repeatable; - is standard input.", required=True)
@click.option("--since", metavar="TIME", help="30d, 12h or a date: only decisions since then. Default: all decisions in the files.")
@catalog_options()
@_TABLES
def policy_backtest(paths: tuple[Path, ...], audit_files: tuple[str, ...], since: str | None, catalogs: CatalogSource, output: str) -> None:
    """Report what the requests in these audit files would gain or lose with the policies in these files and folders, and how many denied
    requests could have been asked for, by offer.

    The audit events hold the access of that time and the user's attributes of that time; current attributes are not read. The exit status
    is 1 if nothing could be compared, or if the catalog of a platform among the files is missing.
    """
    from datetime import UTC, datetime

    from rolevend.policytools.backtest import as_json, as_text, backtest, moment

    begin = None if since is None else moment(since, datetime.now(UTC))
    found = backtest(paths, audit_files, begin, catalogs.read(paths))
    printer.show(
        output, lambda: as_json(found), colour.DIFF, text=lambda: as_text(found, "text"), markdown=lambda: as_text(found, "markdown")
    )
    printer.exit_if(found.failed)
