"""What answers who that was, and what it did."""

import sys
from typing import TYPE_CHECKING

import click

from rolevend.cli import options
from rolevend.cli.extras import needs

if TYPE_CHECKING:
    from rolevend.app.snowflake_record import SnowflakeTrace
    from rolevend.app.trace import Trace


@click.command()
@click.argument("role_name")
@options.kubeconfig()
@options.namespace("Where the records of handles are.")
@click.option(
    "--audit",
    "audit_files",
    multiple=True,
    type=options.READABLE,
    metavar="FILE",
    help="Look into this file of audit events, too. May be given again; - is standard input.",
)
@click.option(
    "--dsn", envvar="ROLEVEND_ADMIN_DSN", help="Ask the platform's database for the lease, as somebody who may read rolevend.lease."
)
@options.connection("Ask the platform's Snowflake account for the lease, by this connection of your connections.toml.")
@click.option("--offline", is_flag=True, help="Do not ask the cluster.")
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
    """Say which agent acted for whom in ROLE_NAME, also years after the role is gone."""
    import asyncio
    import json

    from rolevend.app.who import Sources, describe

    config = None if offline else options.own(kubeconfig)
    found = asyncio.run(describe(role_name, Sources(config, namespace, audit_files, dsn, connection)))
    if output == "json":
        click.echo(json.dumps({**found.text, "sources": found.sources}, indent=2))
    else:
        for key, value in found.text.items():
            click.echo(f"{key:<10} {value}  [{found.sources[key]}]")
    for note in found.notes:
        click.echo(f"note: {note}", err=True)


@click.command()
@click.argument("role_name")
@click.argument("files", nargs=-1, type=options.READABLE, metavar="[FILE...]")
@options.connection("Ask Snowflake by this connection of your connections.toml, instead of reading files.")
@click.option("--user", metavar="NAME", help="With --connection: the agent's own user, where the role had no user of its name.")
@click.option("--archive", is_flag=True, help="With --connection: the last year, up to 45 minutes ago. Default: seven days, up to now.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: one object per line.")
def trace(role_name: str, files: tuple[str, ...], connection: str | None, user: str | None, output: str, *, archive: bool) -> None:
    """Print every statement that ROLE_NAME ran, as its platform logged it.

    Of PostgreSQL from its log: FILE is a csvlog or jsonlog, also compressed by gzip; older files first, - is standard input. Statements
    come in the order in which they ended. Of Snowflake from its query history, in the order in which they began.
    """
    import json
    from dataclasses import asdict

    from rolevend.app.trace import shown

    statements = _trace(role_name, files, connection, user, archive=archive)
    for statement in statements:
        click.echo(json.dumps(asdict(statement)) if output == "json" else shown(statement))
    for note in statements.notes:
        click.echo(f"note: {note}", err=True)


def _trace(role_name: str, files: tuple[str, ...], connection: str | None, user: str | None, *, archive: bool) -> "Trace | SnowflakeTrace":
    if bool(files) == bool(connection):
        raise click.UsageError("name either FILEs of PostgreSQL's log, or with --connection how to ask Snowflake")
    if connection is not None:
        from rolevend.app.snowflake_record import SnowflakeTrace

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
@click.option("--expect", metavar="HASH", help="An event with this hash must be there: the last one of an earlier look.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=options.READABLE,
    metavar="FILE",
    help="Every event must be sealed with the key in this file. May be given again, for a key that was another one once.",
)
@options.OUTPUT
def audit_verify(files: tuple[str, ...], expect: str | None, keys: tuple[str, ...], output: str) -> None:
    """Say whether every audit event is there as it was written: older files first, - is standard input.

    A line that was altered, removed, moved or cut off is named, and the exit status is 1.
    """
    import json
    from dataclasses import asdict

    from rolevend.audit.event_files import verify

    found = verify(files, expect, keys)
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        for problem in found.problems:
            click.echo(f"PROBLEM {problem}")
        for note in found.notes:
            click.echo(f"note: {note}")
        outcome = f"{len(found.problems)} problems" if found.problems else "all of them as they were written"
        click.echo(f"{found.events} events, {outcome}; the last one has the hash {found.head or '(none)'}")
    if found.problems:
        sys.exit(options.FAILED)
