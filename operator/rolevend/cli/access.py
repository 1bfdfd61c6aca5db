"""`rolevend access`: who can read a table or a column now, could in the past, or could by the policies."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from rolevend.cli import completion, options, printer
from rolevend.cli.catalogs import OPERATOR_NAMESPACE
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.access_report.reader import AccessSources
    from rolevend.access_report.report import AccessReport
    from rolevend.access_report.target import AccessQuestion

T = TypeVar("T")


@click.command()
@click.argument("target", metavar="TABLE[.COLUMN]")
@click.option("--now", is_flag=True, help="The live roles that read it. This is the default.")
@click.option("--could", is_flag=True, help="Instead the people and agents whom policies would grant it, also by asking.")
@click.option(
    "--since", callback=options.moment, metavar="TIME", help="Instead the roles of --audit that lived since then, ended ones too."
)
@click.option("--until", callback=options.moment, metavar="TIME", help="Instead the roles of --audit that lived before this time.")
@click.option("--user", metavar="NAME", shell_complete=completion.SUBJECTS, help="Only this user: subject, 'subject (issuer)', or handle.")
@click.option("--agent", metavar="NAME", shell_complete=completion.AGENTS, help="Only this agent: namespace/name, name, or handle.")
@click.option("--platform", metavar="NAME", shell_complete=completion.PLATFORMS, help="Only on this DataPlatform.")
@click.option("--purpose", metavar="PURPOSE", help="Only for this purpose.")
@options.audit_files(
    "Read this file of audit events: for --since and --until, and for what live roles show. Repeatable; - is standard input."
)
@click.option(
    "--catalog",
    "catalogs",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A catalog that `rolevend platform catalog` wrote. Repeat it for each platform. Default: those that the operator publishes.",
)
@OPERATOR_NAMESPACE
@click.option(
    "--files",
    multiple=True,
    type=options.Manifests(),
    metavar="PATH",
    help="With --could: read objects from these files and folders instead of the cluster. Repeatable.",
)
@click.option("-n", "--namespace", help="Only live roles in this namespace. Default: all namespaces, or those in which you may list roles.")
@options.kubeconfig()
@options.CONTEXT
@options.output("text", "json", "yaml", help_text="json, yaml: for programs, with all there is.")
@needs("operator")
def access(
    target: str,
    since: datetime | None,
    until: datetime | None,
    user: str | None,
    agent: str | None,
    platform: str | None,
    purpose: str | None,
    audit_files: tuple[str, ...],
    catalogs: tuple[Path, ...],
    operator_namespace: str,
    files: tuple[Path, ...],
    namespace: str | None,
    kubeconfig: str | None,
    context: str | None,
    output: str,
    *,
    now: bool,
    could: bool,
) -> None:
    """Report who can read a table or a column now, who could in the past, or who could by the policies.

    TABLE is SCHEMA.TABLE; a name with a dot, a comma or a space is in double quotes. For each role: agent, user, purpose, proof, policies,
    row filter, and the mask of the column. A column that is masked in every row is reported with its mask. Roles are reported by what they
    may read; `rolevend ledger` shows the statements that they ran.

    \b
    Examples:
        rolevend access claims.people.ssn
        rolevend access claims.people.ssn --since 2026-11-22 --audit audit.ndjson
        rolevend access claims.people.ssn --could --user bob
        rolevend access claims.people.ssn --could --files policies --catalog catalog.yaml
    """
    from rolevend.access_ledger.selection import Selection
    from rolevend.access_report.target import AccessQuestion, read_target

    in_the_past = since is not None or until is not None
    if now + could + in_the_past > 1:
        raise click.UsageError("--now, --could, and --since with --until are three questions: ask one")
    if in_the_past and not audit_files:
        raise click.UsageError("--since and --until are answered from audit events: name the files with --audit")
    if files and not could:
        raise click.UsageError("--files is for --could: files hold no roles")
    if could and audit_files:
        raise click.UsageError("--audit is of roles: leave it out, or leave out --could")
    question = AccessQuestion(
        _read(lambda: read_target(target)), Selection(since=since, until=until, user=user, agent=agent), platform, purpose
    )
    if in_the_past:
        report = _ended(question, audit_files)
    elif could:
        report = _possible(question, _sources(kubeconfig, context, None, catalogs, operator_namespace, files, with_roles=False))
    else:
        report = _live(question, _sources(kubeconfig, context, namespace, catalogs, operator_namespace, (), with_roles=True), audit_files)
    printer.show(output, report.json, text=report.text)
    printer.note(report.notes)


def _live(question: "AccessQuestion", sources: "AccessSources", audit_files: tuple[str, ...]) -> "AccessReport":
    from rolevend.access_report.reader import read_events
    from rolevend.access_report.report import live_report

    audited = read_events(question.target, audit_files)
    return _read(lambda: live_report(question, sources, audited, datetime.now(UTC)))


def _ended(question: "AccessQuestion", audit_files: tuple[str, ...]) -> "AccessReport":
    from rolevend.access_report.reader import read_events
    from rolevend.access_report.report import ended_report

    audited = read_events(question.target, audit_files)
    return _read(lambda: ended_report(question, audited))


def _possible(question: "AccessQuestion", sources: "AccessSources") -> "AccessReport":
    from rolevend.access_report.report import possible_report

    with options.uncollected():
        return _read(lambda: possible_report(question, sources))


def _sources(
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    catalogs: tuple[Path, ...],
    operator_namespace: str,
    files: tuple[Path, ...],
    *,
    with_roles: bool,
) -> "AccessSources":
    import asyncio

    from rolevend.access_report.reader import read_files, read_sources
    from rolevend.approvals.reader import ClusterAccess

    if files:
        return read_files(files, catalogs)
    access = ClusterAccess(options.own(kubeconfig), context, namespace)
    return asyncio.run(read_sources(access, catalogs, operator_namespace, datetime.now(UTC), with_roles=with_roles))


def _read(read: Callable[[], T]) -> T:
    """Return the value, or raise the error of a wrong command line."""
    from rolevend.errors import InvalidInput

    try:
        return read()
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
