"""The commands of approvers: show the requests of agents for offers, and approve or deny them."""

import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from rolevend.cli import completion, options, printer, vote_options
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.approvals.ballot import Choice
    from rolevend.approvals.following import RequestsShown
    from rolevend.approvals.narrowing import VoteNarrowing
    from rolevend.approvals.reader import ClusterAccess
    from rolevend.kinds.access_policy import MaskRule
    from rolevend.kinds.vended_role import TableName

STATES = ("Pending", "Denied", "Expired", "Cancelled", "Approved", "Used", "Spent", "Lapsed", "Revoked", "Superseded")


@completion.quietly
def _names(context: click.Context, _argument: click.Parameter, begun: str) -> list[str]:
    """Return the names of requests for the completion of a shell."""
    from rolevend.approvals.reader import open_names

    return [each for each in completion.soon(open_names(completion.cluster_access(context))) if each.startswith(begun)]


_REQUEST = click.argument("request", shell_complete=_names)
_NAMESPACE = click.option("-n", "--namespace", help="The namespace of the requests, which is the agent's. Default: that of the context.")
_WAIT = click.option(
    "--wait", type=click.FloatRange(0), default=10, show_default=True, help="The longest time to wait for the result, in seconds. 0: not."
)
_YES = click.option("--yes", is_flag=True, help="Do not ask for a confirmation.")
_DRY_RUN = click.option(
    "--dry-run", is_flag=True, help="Print the AccessDecision for kubectl instead. The API server checks it, and stores nothing."
)


@click.command()
@click.argument("name", required=False, shell_complete=_names)
@_NAMESPACE
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="List the requests of all namespaces.")
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    type=click.Choice(STATES, case_sensitive=False),
    help=f"List only requests in this state: {', '.join(STATES)}. Repeatable.",
)
@click.option("--watch", is_flag=True, help="Then print each change, until Ctrl-C.")
@click.option("--count", is_flag=True, help="Count the rows and cells that the user reads today, and with an approval. For approvers.")
@options.kubeconfig()
@options.CONTEXT
@options.output("table", "json", "yaml", help_text="json and yaml: for programs, with all there is.")
@needs("operator")
def requests(
    name: str | None,
    namespace: str | None,
    states: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    output: str,
    *,
    everywhere: bool,
    watch: bool,
    count: bool,
) -> None:
    """List the requests of agents for offers, or show all of one: NAME.

    The pending ones come first. LEFT is the time in which a pending request can be decided, or an approved one used. The details show the
    offer, the votes, how often people approved the same, and the commands to answer. A justification has the words of an agent: nothing
    verified them.

    \b
    Examples:
        rolevend requests --all-namespaces --state Pending
        rolevend requests ar-5lq3 --namespace agents --count
        rolevend requests --namespace agents --watch
    """
    import asyncio

    from rolevend.approvals.following import show
    from rolevend.approvals.reader import ClusterAccess
    from rolevend.approvals.wording import CommandFlags

    if name is not None and (everywhere or states):
        raise click.UsageError("--all-namespaces and --state are for the list: leave them out, or the NAME")
    if name is None and count:
        raise click.UsageError("--count is for one request: add its NAME")
    if everywhere and namespace is not None:
        raise click.UsageError("name either a --namespace, or --all-namespaces")
    access = ClusterAccess(options.own(kubeconfig), context, namespace)
    shown = show(access, name, states, CommandFlags(context), everywhere=everywhere, watch=watch, count=count)
    try:
        asyncio.run(_print(shown, output, is_one=name is not None, watch=watch))
    except KeyboardInterrupt:
        if not watch:
            raise


async def _print(shown: "AsyncIterator[RequestsShown]", output: str, *, is_one: bool, watch: bool) -> None:
    async for each in shown:
        printer.note(each.notes)
        if not watch:
            value = each.values[0] if is_one else list(each.values)
            printer.show(output, partial(_same, value), table=partial(_same, each.text))
        elif output == "table":
            printer.show_item(output, None, each.text)
        else:
            for value in each.values:
                printer.show_item(output, value, "")


@click.command()
@_REQUEST
@_NAMESPACE
@click.option("--for", "seconds", metavar="TIME", callback=vote_options.read_seconds, help="Approve only a shorter role: 10m, 90s, 1h30m.")
@click.option(
    "--tables",
    metavar="SCHEMA.TABLE,...",
    multiple=True,
    callback=vote_options.read_tables,
    help="Approve only these tables. A name with a dot, a comma or a space is in double quotes: 'claims.\"a b\"'. Repeatable.",
)
@click.option(
    "--mask",
    "masks",
    metavar="COLUMN=TYPE",
    multiple=True,
    callback=vote_options.read_masks,
    help="Also mask this column: Partial(4), Round(100), DateTrunc(Year), Constant(hidden), Hash or Nullify. Quote it for the shell. "
    "A * in COLUMN matches any run of characters. Repeatable.",
)
@click.option("--because", metavar="TEXT", help="A comment for the user and the agent.")
@click.option("--no-count", "uncounted", is_flag=True, help="Do not count rows and cells.")
@_WAIT
@_YES
@_DRY_RUN
@options.kubeconfig()
@options.CONTEXT
@needs("operator")
def approve(
    request: str,
    namespace: str | None,
    seconds: int | None,
    tables: "tuple[TableName, ...] | None",
    masks: "tuple[MaskRule, ...]",
    because: str | None,
    wait: float,
    kubeconfig: str | None,
    context: str | None,
    *,
    uncounted: bool,
    yes: bool,
    dry_run: bool,
) -> None:
    """Approve REQUEST, or a part of it, with an AccessDecision in the namespace of the offer.

    The command shows the request, lets the platform count the rows and cells that the user reads today and with your approval, and asks
    for a confirmation. Your approval holds for the effect that you saw: if the offer, the data or
    the user changes, the agent must ask again. Deleting the AccessDecision revokes the approval. You need the verb `approve` on the offer.

    \b
    Examples:
        rolevend approve ar-5lq3 --namespace agents
        rolevend approve ar-5lq3 --namespace agents --for 10m --tables claims.people --mask 'ssn=Partial(4)'
        rolevend approve ar-5lq3 --namespace agents --dry-run > decision.yaml
    """
    from rolevend.approvals.narrowing import VoteNarrowing
    from rolevend.approvals.reader import ClusterAccess

    access = ClusterAccess(options.own(kubeconfig), context, namespace)
    wanted = VoteNarrowing(seconds, tables, masks)
    _vote(access, request, "Approve", wanted, because, wait, count=not uncounted, yes=yes, dry_run=dry_run)


@click.command()
@_REQUEST
@_NAMESPACE
@click.option("--because", metavar="TEXT", required=True, help="The reason, for the user and the agent.")
@_WAIT
@_YES
@_DRY_RUN
@options.kubeconfig()
@options.CONTEXT
@needs("operator")
def deny(
    request: str,
    namespace: str | None,
    because: str,
    wait: float,
    kubeconfig: str | None,
    context: str | None,
    *,
    yes: bool,
    dry_run: bool,
) -> None:
    """Deny REQUEST as a whole, with an AccessDecision in the namespace of the offer.

    One denial is enough, also if others approve. The same agent must then wait before it asks for the same offer again. To revoke the
    approval of a rule, deny the request; to revoke an approval of people, delete its AccessDecision.

    \b
    Example:
        rolevend deny ar-5lq3 --namespace agents --because 'Ask for the masked offer.'
    """
    from rolevend.approvals.narrowing import VoteNarrowing
    from rolevend.approvals.reader import ClusterAccess

    access = ClusterAccess(options.own(kubeconfig), context, namespace)
    _vote(access, request, "Deny", VoteNarrowing(), because, wait, count=False, yes=yes, dry_run=dry_run)


def _vote(
    access: "ClusterAccess",
    name: str,
    choice: "Choice",
    wanted: "VoteNarrowing",
    comment: str | None,
    wait: float,
    *,
    count: bool,
    yes: bool,
    dry_run: bool,
) -> None:
    import asyncio
    from dataclasses import replace

    from rolevend.approvals import ballot, casting, details, previewing
    from rolevend.approvals.narrowing import compare
    from rolevend.approvals.wording import CommandFlags

    if not yes and not dry_run and not sys.stdin.isatty():
        raise click.UsageError("standard input is no terminal, so nobody can confirm: add --yes")
    flags = CommandFlags(access.context)
    found, by = asyncio.run(casting.look(access, name))
    ballot.require_open(found.request, choice, flags)
    narrowed, notes = compare(wanted, found)
    decision = ballot.decision(found.request, by, choice, narrowed, comment)
    if dry_run:
        asyncio.run(casting.check(access, decision, flags))
        printer.note((*found.notes, *notes))
        printer.show("yaml", lambda: decision)
        return
    if count:
        click.echo(f"counting the rows that {found.request.spec.user.subject} reads today and with this ...", err=True)
        found = replace(found, effect=asyncio.run(previewing.preview(access, found.request, by, narrowed)))
    click.echo(details.question(found))
    printer.note((*found.notes, *notes))
    click.echo(f"\n{ballot.summary(found, by, choice, narrowed, comment)}\n")
    if not yes and not click.confirm(f"{choice} it?"):
        click.echo("nothing is decided", err=True)
        sys.exit(1)
    result = asyncio.run(casting.vote(access, found.request, decision, wait, flags, click.echo))
    if result is not None:
        click.echo(result.text)
        printer.exit_if(result.failed)


def _same(value: Any) -> Any:
    return value
