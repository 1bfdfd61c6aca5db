"""`rolevend ledger`: which agent read which table for which person, from a platform's own record of statements."""

import json
import os
import sys
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from rolevend.cli import completion, options, printer
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.access_ledger.entry import LedgerEntry
    from rolevend.access_ledger.ledger_run import LedgerRun
    from rolevend.access_ledger.selection import Selection
    from rolevend.app.ledger import UnusedGrants
    from rolevend.app.ledger_follower import FollowSettings
    from rolevend.app.ledger_sources import LedgerSource

_LOGS_PAUSE: Final = 5.0
"""Seconds between two reads of logs."""
_HISTORY_PAUSE: Final = 900.0
"""Seconds between two reads of a query history, which wake a warehouse up."""

_FIRST: Final = timedelta(days=7)
"""How far back the first process reads: it would not know the roles of older statements."""


def _zone(_context: click.Context, _option: click.Parameter, value: str | None) -> tzinfo | None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return None if value is None else ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(f"{value!r} is no time zone; one is Europe/Berlin") from error


def _address(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 0xFFFF:
        raise click.BadParameter(f"{value!r} is no address; one is 0.0.0.0:8080")
    return host.strip("[]"), int(port)


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True), metavar="[PATH...]")
@options.connection("Read Snowflake's query history with this connection of your connections.toml, instead of logs.")
@options.audit_files(
    "Read agents, people and policies of the roles from this file of audit events. Repeatable; - is standard input.",
    expanded=False,
)
@click.option("--since", callback=options.moment, metavar="TIME", help="Only statements from this time on. Without a zone it is in UTC.")
@click.option("--until", callback=options.moment, metavar="TIME", help="Only statements before this time.")
@click.option(
    "--user",
    metavar="NAME",
    shell_complete=completion.SUBJECTS,
    help="Only statements for this user: subject, 'subject (issuer)', or handle.",
)
@click.option(
    "--agent", metavar="NAME", shell_complete=completion.AGENTS, help="Only statements of this agent: namespace/name, name, or handle."
)
@click.option("--table", metavar="NAME", help="Only statements that touched this table: schema.table, or table.")
@click.option(
    "--unused",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Instead list grants of the last DAYS days that nobody used. With --follow count tables that nobody read so long.",
)
@click.option(
    "--platform", metavar="NAME", shell_complete=completion.PLATFORMS, help="The DataPlatform of the logs. Needed if roles are on several."
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Print only what is new since the last run with this file, and keep the positions in it.",
)
@click.option("--log-timezone", callback=_zone, metavar="ZONE", help="The server's log_timezone, if the log has times such as CET.")
@click.option("--follow", is_flag=True, help="Go on until a signal: print what is new. Takes --state, --platform, and -o json or ocsf.")
@click.option(
    "--write",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With --follow: append to this file instead of standard output. To rotate it, rename it.",
)
@click.option("--pause", type=click.FloatRange(min=0.1), metavar="SECONDS", help="With --follow: between two reads. Default: 5, or 900.")
@click.option(
    "--probes", callback=_address, metavar="HOST:PORT", help="With --follow: serve /healthz, /readyz and /metrics here, over plain HTTP."
)
@options.output("text", "json", "yaml", "ocsf", help_text=f"{options.STREAM} ocsf: one event of OCSF per line (Datastore Activity, 6005).")
@needs("postgres")
def ledger(
    paths: tuple[str, ...],
    connection: str | None,
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
    write: Path | None,
    pause: float | None,
    probes: tuple[str, int] | None,
    output: str,
    *,
    follow: bool,
) -> None:
    """Print which statements agents ran for which people, from PostgreSQL's logs or Snowflake's query history.

    PATH is a csvlog or jsonlog, also compressed with gzip, or a folder with logs. Every statement of a vended role is one line; its agent,
    user, purpose and policies are from the audit events. See docs/how-to/see-what-agents-read.md.
    """
    from rolevend.access_ledger.position_file import PositionFile
    from rolevend.access_ledger.selection import Selection
    from rolevend.app.ledger import UnusedGrants, audited_roles
    from rolevend.app.ledger_sources import SavedRun

    selection = Selection(since=since, until=until, user=user, agent=agent, table=table)
    source = _source(paths, connection, log_timezone)
    if follow:
        if state is None or platform is None or not audit_files or output in ("text", "yaml") or until is not None:
            raise click.UsageError("--follow takes --state, --platform, --audit, and -o json or ocsf; leave out --until")
        if unused is not None and Selection(since=since) != selection:
            raise click.UsageError("--unused with --follow looks at all statements: leave out --user, --agent and --table")
        if "-" in audit_files:
            raise click.UsageError("--follow reads audit events again and again: name files or folders with --audit, not -")
        from rolevend.app.ledger_follower import FollowSettings

        settings = FollowSettings(pause or (_LOGS_PAUSE if paths else _HISTORY_PAUSE), probes)
        _follow(_Followed(source, selection, platform, audit_files, unused), state, write, output, settings)
        return
    if write is not None or pause is not None or probes is not None:
        raise click.UsageError("--write, --pause and --probes are for --follow")
    roles = audited_roles(options.audit_files_in(audit_files), platform)
    if unused is not None:
        if state is not None or since is not None or table is not None or output == "ocsf":
            raise click.UsageError("--unused reads whole logs: leave out --state, --since, --table and -o ocsf")
        end = until or datetime.now(UTC)
        begin = end - timedelta(days=unused)
        period = Selection(since=begin, until=end, user=user, agent=agent)
        _print_unused(UnusedGrants(source.whole(roles, Selection(until=end)), roles, period, begin, platform), output)
        return
    if state is None:
        _print(source.whole(roles, selection), output)
        return
    with PositionFile(state) as file:
        _print(source.continued(roles, selection, SavedRun(file, _written, datetime.now(UTC))), output)


def _source(paths: tuple[str, ...], connection: str | None, log_timezone: tzinfo | None) -> "LedgerSource":
    if bool(paths) == bool(connection):
        raise click.UsageError("name either PATHs of PostgreSQL's logs, or with --connection how to ask Snowflake")
    from rolevend.app.ledger_sources import HistorySource, LogSource
    from rolevend.platforms.postgres.log_time import LogClock

    if connection is None:
        return LogSource(paths, LogClock(log_timezone))
    if log_timezone is not None:
        raise click.UsageError("--log-timezone is for PostgreSQL's logs")
    return HistorySource(connection)


class _Followed(NamedTuple):
    source: "LedgerSource"
    selection: "Selection"
    platform: str
    audit_files: tuple[str, ...]
    unused: int | None


def _follow(followed: _Followed, state: Path, write: Path | None, output: str, settings: "FollowSettings") -> None:
    import asyncio

    from rolevend.access_ledger.audit_tail import FollowedRoles
    from rolevend.access_ledger.entry_file import EntryFile
    from rolevend.access_ledger.ocsf import ocsf
    from rolevend.access_ledger.position_file import PositionFile
    from rolevend.app.bootstrap import now
    from rolevend.app.ledger_follower import LedgerFollower, follow
    from rolevend.app.ledger_sources import SavedRun
    from rolevend.app.unread_tables import UnreadTables
    from rolevend.telemetry.ledger_metrics import LedgerMetrics
    from rolevend.telemetry.logs import configure

    configure("INFO")
    roles = FollowedRoles(followed.audit_files, followed.platform, now)
    metrics = LedgerMetrics(followed.platform)
    out = EntryFile(write)
    reads = PositionFile(state.with_name(f"{state.name}.reads"))
    with PositionFile(state) as file, reads if followed.unused is not None else nullcontext():
        selection = followed.selection
        if selection.since is None and file.load() is None:
            selection = replace(selection, since=now() - _FIRST)
        unread = None if followed.unused is None else UnreadTables(reads, followed.unused, roles, metrics, now)

        def start() -> "LedgerRun":
            if unread is not None:
                unread.report()
            out.drop()  # of a cycle that failed: they are repeated
            return followed.source.continued(roles, selection, SavedRun(file, out.sync, now()))

        def put(entry: "LedgerEntry") -> None:
            if unread is not None:
                unread.take(entry)
            out.write(json.dumps(ocsf(entry) if output == "ocsf" else entry.as_json()))

        asyncio.run(follow(LedgerFollower(start, put, roles, metrics, now), metrics, settings))


def _print(entries: "LedgerRun", output: str) -> None:
    from rolevend.access_ledger.ocsf import ocsf
    from rolevend.access_ledger.text import HEADER, LEGEND, row

    if output == "text":
        click.echo(HEADER)
        printer.show_each(output, entries, row)
        printer.note([*entries.notes, LEGEND])
        return
    printer.show_each("json" if output == "ocsf" else output, (ocsf(each) if output == "ocsf" else each.as_json() for each in entries), str)
    printer.note(entries.notes)


def _print_unused(found: "UnusedGrants", output: str) -> None:
    from rolevend.access_ledger.text import unused_row

    if output == "text":
        printer.show_each(output, found, unused_row)
    else:
        printer.show_each(output, (each.as_json() for each in found), str)
    printer.note(found.notes)


def _written() -> None:
    """Write the printed entries durably: what the state says was printed must not be lost."""
    sys.stdout.flush()
    with suppress(OSError, ValueError):  # a pipe or a terminal, or the output of a test
        os.fsync(sys.stdout.fileno())
