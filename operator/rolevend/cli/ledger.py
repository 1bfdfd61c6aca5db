"""`rolevend ledger`: which agent read which table for which person, from a platform's own log."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rolevend.cli import options, printer
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.access_ledger.positions import Positions
    from rolevend.app.ledger import AccessLedger, UnusedGrants


def _zone(_context: click.Context, _option: click.Parameter, value: str | None) -> tzinfo | None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return None if value is None else ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(f"{value!r} is no time zone; one is Europe/Berlin") from error


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True), metavar="PATH...")
@options.audit_files("Read agents, people and policies of the roles from this file of audit events. Repeatable; - is standard input.")
@click.option("--since", callback=options.moment, metavar="TIME", help="Only statements from this time on. Without a zone it is in UTC.")
@click.option("--until", callback=options.moment, metavar="TIME", help="Only statements before this time.")
@click.option("--user", metavar="NAME", help="Only statements for this user: subject, 'subject (issuer)', or handle.")
@click.option("--agent", metavar="NAME", help="Only statements of this agent: namespace/name, name, or handle.")
@click.option("--table", metavar="NAME", help="Only statements that touched this table: schema.table, or table.")
@click.option("--unused", type=click.IntRange(min=1), metavar="DAYS", help="Instead list grants of the last DAYS days that nobody used.")
@click.option("--platform", metavar="NAME", help="The DataPlatform of the logs. Needed if roles are on several.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Print only what is new since the last run with this file, and keep the positions in it.",
)
@click.option("--log-timezone", callback=_zone, metavar="ZONE", help="The server's log_timezone, if the log has times such as CET.")
@options.output("text", "json", "ocsf", help_text="json: one object per line. ocsf: one event of OCSF per line (Datastore Activity, 6005).")
@needs("postgres")
def ledger(
    paths: tuple[str, ...],
    audit_files: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    user: str | None,
    agent: str | None,
    table: str | None,
    unused: int | None,
    platform: str | None,
    state: Path | None,
    log_timezone: tzinfo | None,
    output: str,
) -> None:
    """Print which statements agents ran for which people, from PostgreSQL's logs.

    PATH is a csvlog or jsonlog, also compressed with gzip, or a folder with logs. Every statement of a vended role is one line; its agent,
    user, purpose and policies are from the audit events. See docs/how-to/see-what-agents-read.md.
    """
    from rolevend.access_ledger.position_file import PositionFile
    from rolevend.access_ledger.selection import Selection
    from rolevend.app.ledger import AccessLedger, Continuation, UnusedGrants, audited_roles
    from rolevend.platforms.postgres.log_time import LogClock

    roles, clock = audited_roles(audit_files, platform), LogClock(log_timezone)
    if unused is not None:
        if state is not None or since is not None or table is not None or output == "ocsf":
            raise click.UsageError("--unused reads whole logs: leave out --state, --since, --table and -o ocsf")
        end = until or datetime.now(UTC)
        begin = end - timedelta(days=unused)
        period = Selection(since=begin, until=end, user=user, agent=agent)
        _print_unused(UnusedGrants(AccessLedger(paths, roles, Selection(until=end), clock), roles, period, begin, platform), output)
        return
    selection = Selection(since=since, until=until, user=user, agent=agent, table=table)
    if state is None:
        _print(AccessLedger(paths, roles, selection, clock), output)
        return

    with PositionFile(state) as file:

        def save(positions: "Positions") -> None:
            _written()
            file.save(positions)

        _print(AccessLedger(paths, roles, selection, clock, Continuation(file.load(), save, datetime.now(UTC))), output)


def _print(entries: "AccessLedger", output: str) -> None:
    from rolevend.access_ledger.ocsf import ocsf
    from rolevend.access_ledger.text import HEADER, LEGEND, row

    if output == "text":
        click.echo(HEADER)
        printer.show_each(output, entries, row)
        printer.note([*entries.notes, LEGEND])
        return
    printer.show_each("json", (ocsf(each) if output == "ocsf" else each.as_json() for each in entries), str)
    printer.note(entries.notes)


def _print_unused(found: "UnusedGrants", output: str) -> None:
    from rolevend.access_ledger.text import unused_row

    if output == "text":
        printer.show_each(output, found, unused_row)
    else:
        printer.show_each("json", (each.as_json() for each in found), str)
    printer.note(found.notes)


def _written() -> None:
    """Write the printed entries durably: what the state says was printed must not be lost."""
    sys.stdout.flush()
    with suppress(OSError, ValueError):  # a pipe or a terminal, or the output of a test
        os.fsync(sys.stdout.fileno())
