"""Commands that read the records of a role: who acted, which statements ran, and whether audit events are complete."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rolevend.cli import completion, options, printer
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.app.trace import SnowflakeTrace, Trace
    from rolevend.audit.chain import VerifiedChain


@click.command()
@click.argument("role_name", shell_complete=completion.ROLE_NAMES)
@options.kubeconfig()
@options.namespace("The namespace of the records of handles.")
@options.audit_files("Also read this file of audit events. Repeatable; - is standard input.")
@click.option(
    "--dsn",
    envvar="ROLEVEND_ADMIN_DSN",
    help="Also read the lease from the platform's database, with a login that may read rolevend.lease.",
)
@options.connection("Also read the lease from the platform's Snowflake account, with this connection of your connections.toml.")
@click.option("--offline", is_flag=True, help="Do not call the cluster.")
@options.OUTPUT
@needs("operator,postgres")
def who(
    role_name: str,
    kubeconfig: str | None,
    namespace: str,
    audit_files: tuple[str, ...],
    dsn: str | None,
    connection: str | None,
    output: str,
    *,
    offline: bool,
) -> None:
    """Report which agent acted for which user in ROLE_NAME, even years after the role was dropped."""
    import asyncio

    from rolevend.app.who import Sources, describe

    config = None if offline else options.own(kubeconfig)
    found = asyncio.run(describe(role_name, Sources(namespace, config, audit_files, dsn, connection)))
    printer.show(
        output,
        lambda: {**found.text, "sources": found.sources},
        text=lambda: "\n".join(f"{name:<10} {value}  [{found.sources[name]}]" for name, value in found.text.items()),
    )
    printer.note(found.notes)


@click.command()
@click.argument("role_name", shell_complete=completion.ROLE_NAMES)
@click.argument("files", nargs=-1, type=options.READABLE, metavar="[FILE...]")
@options.connection("Read Snowflake's query history with this connection of your connections.toml, instead of files.")
@click.option("--user", metavar="NAME", help="With --connection: the agent's own user, if the role had no user of its name.")
@click.option("--archive", is_flag=True, help="With --connection: the last year, up to 45 minutes ago. Default: seven days, up to now.")
@options.audit_files("First print the role's events in this file of audit events, and those of the approval that it used. Repeatable.")
@options.output("text", "json", "yaml", help_text=options.STREAM)
def trace(
    role_name: str,
    files: tuple[str, ...],
    connection: str | None,
    user: str | None,
    audit_files: tuple[str, ...],
    output: str,
    *,
    archive: bool,
) -> None:
    """Print every statement that ROLE_NAME ran, from the log of its platform.

    For PostgreSQL FILE is a csvlog or jsonlog, also compressed with gzip. Name older files first; - is standard input. Statements come in
    the order of their ends. For Snowflake the command reads the query history; statements come in the order of their starts.
    """
    from rolevend.app.trace import link_shown, shown
    from rolevend.audit.role_chain import chain_of

    if audit_files:
        printer.show_each(output, chain_of(role_name, audit_files), link_shown)
        if not files and not connection:
            return
    statements = _trace(role_name, files, connection, user, archive=archive)
    printer.show_each(output, statements, shown)
    printer.note(statements.notes)


def _trace(role_name: str, files: tuple[str, ...], connection: str | None, user: str | None, *, archive: bool) -> "Trace | SnowflakeTrace":
    if bool(files) == bool(connection):
        raise click.UsageError("name either FILEs of PostgreSQL's log, or with --connection how to ask Snowflake, or --audit alone")
    if connection is not None:
        from rolevend.app.trace import SnowflakeTrace

        return SnowflakeTrace(role_name, connection, user=user, archive=archive)
    if user or archive:
        raise click.UsageError("--user and --archive are for Snowflake: name a --connection")
    from rolevend.app.trace import Trace

    return Trace(role_name, files)


@click.group()
def audit() -> None:
    """Work with files of audit events."""


@audit.command("verify")
@options.FILES
@click.option("--expect", metavar="HASH", help="Require an event with this hash: the last hash of an earlier verification.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=options.READABLE,
    metavar="FILE",
    help="Require that every event is sealed with the key in this file. Repeat it for earlier keys.",
)
@options.OUTPUT
def audit_verify(files: tuple[str, ...], expect: str | None, keys: tuple[str, ...], output: str) -> None:
    """Verify that every audit event is present and unchanged. Name older files first; - is standard input.

    The output names each line that was altered, removed, moved or cut off; then the exit status is 1.
    """
    from rolevend.audit.event_files import verify

    found = verify(files, expect, keys)
    printer.show(output, lambda: found, text=lambda: "\n".join(_lines(found)))
    printer.exit_if(found.problems)


def _lines(found: "VerifiedChain") -> Iterator[str]:
    yield from printer.findings(found.problems, found.notes)
    outcome = f"{len(found.problems)} problems" if found.problems else "all of them as they were written"
    yield f"{found.events} events, {outcome}; the last one has the hash {found.head or '(none)'}"
