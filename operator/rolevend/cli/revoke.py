"""The command of responders: end live roles now, with a reason."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from rolevend.cli import completion, options, printer
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.revocations.selection import RoleFilter

T = TypeVar("T")
_SOME_LEFT = 3
"""The exit status if a selected role is not gone."""


@click.command()
@click.option("--agent", shell_complete=completion.AGENTS, metavar="NAMESPACE/NAME", help="Only roles of this agent.")
@click.option(
    "--user", shell_complete=completion.SUBJECTS, metavar="SUBJECT|HANDLE", help="Only roles for this user, by subject or handle."
)
@click.option(
    "--platform",
    shell_complete=completion.PLATFORMS,
    metavar="NAME",
    help="Only roles on this DataPlatform. A role on several platforms ends on all of them.",
)
@click.option(
    "--table",
    metavar="SCHEMA.TABLE",
    help="Only roles that read this table, or may: the status lists at most 50 tables. A name with a dot, a comma or a space is in double "
    "quotes: 'claims.\"a b\"'.",
)
@click.option("--purpose", metavar="PURPOSE", help="Only roles for this purpose.")
@click.option("--all", "everything", is_flag=True, help="End every live role.")
@click.option("-n", "--namespace", help="Only roles in this namespace. Default: all namespaces, or those in which you may list roles.")
@click.option("--because", metavar="TEXT", help="Why the roles end, in at most 256 characters: for the audit. Required without --dry-run.")
@click.option("--dry-run", is_flag=True, help="Only list the roles, and say if you may end them.")
@click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=60,
    show_default=True,
    help="The longest time to wait until the roles are gone, in seconds.",
)
@options.kubeconfig()
@options.CONTEXT
@needs("operator")
def revoke(
    agent: str | None,
    user: str | None,
    platform: str | None,
    table: str | None,
    purpose: str | None,
    namespace: str | None,
    because: str | None,
    wait: float,
    kubeconfig: str | None,
    context: str | None,
    *,
    everything: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """End live roles now: those that meet all filters, with their sessions and running statements.

    The command lists the roles and asks for a confirmation, deletes their VendedRoles, and waits until the roles are gone. The audit has
    your name, as the API server knows you, and your reason. New roles are vended as before: suspend the Agent, the DataPlatform or the
    AccessPolicy first. You need the ClusterRole rolevend-responder.

    Exit codes: 0 if every selected role is gone, or none is selected; 3 if a role is left; 130 if you interrupted it.

    \b
    Examples:
        rolevend revoke --agent agents/finbot --because 'INC-4711: prompt injection' --yes
        rolevend revoke --user anna --table claims.people --dry-run
        rolevend revoke --all --because 'INC-4711'
    """
    import asyncio

    from rolevend.approvals.reader import ClusterAccess
    from rolevend.revocations import ending, texts
    from rolevend.revocations.selection import read_reason

    wanted = _filter(agent, user, platform, table, purpose, namespace)
    if everything and not wanted.is_everything:
        raise click.UsageError("--all is every role: leave out --all, or the filters")
    if wanted.is_everything and not everything:
        raise click.UsageError("name the roles by --agent, --user, --platform, --table or --purpose, or add --all for every role")
    if because is None and not dry_run:
        raise click.UsageError("--because is missing: say why the roles end, or add --dry-run")
    reason = "" if because is None else _read(read_reason, because)
    if not yes and not dry_run and not sys.stdin.isatty():
        raise click.UsageError("standard input is no terminal, so nobody can confirm: add --yes")
    access = ClusterAccess(options.own(kubeconfig), context, namespace or (wanted.agent.namespace if wanted.agent else None))
    plan = asyncio.run(ending.look(access, wanted))
    roles = plan.selection.roles
    printer.note(plan.notes)
    if not roles:
        click.echo(texts.nothing(wanted, plan.selection, namespace))
        return
    click.echo(f"{texts.table(roles, plan.taken_at, None if dry_run else texts.MOST_ROWS)}\n\n{texts.counts(roles)}")
    if dry_run:
        printer.note(() if plan.missing is None else (f"without --dry-run this fails: {plan.missing}",))
        return
    click.echo(f"\n{texts.intent(plan.selection, reason, plan.by)}\n")
    if not yes and plan.missing is None and plan.selection.live and not click.confirm("End them?"):
        click.echo("nothing is ended", err=True)
        sys.exit(1)
    try:
        outcome = asyncio.run(ending.revoke(access, plan, wanted, reason, wait, lambda text: click.echo(text, err=True)))
    except KeyboardInterrupt:
        click.echo("interrupted: some of them end, and others live; run the same command again", err=True)
        raise
    click.echo(texts.result(outcome, wait))
    printer.note(texts.notes(outcome))
    if outcome.left:
        sys.exit(_SOME_LEFT)


def _filter(
    agent: str | None, user: str | None, platform: str | None, table: str | None, purpose: str | None, namespace: str | None
) -> "RoleFilter":
    from rolevend.revocations.selection import RoleFilter, read_agent, read_table

    return RoleFilter(
        agent=None if agent is None else _read(lambda text: read_agent(text, namespace), agent),
        user=user,
        platform=platform,
        table=None if table is None else _read(read_table, table),
        purpose=purpose,
    )


def _read(read: Callable[[str], T], text: str) -> T:
    """Return the value of an option, or raise the error of a wrong command line."""
    from rolevend.errors import InvalidInput

    try:
        return read(text)
    except InvalidInput as error:
        raise click.UsageError(str(error)) from error
