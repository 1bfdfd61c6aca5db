"""`rolevend policy test`: cases on a real PostgreSQL, each through a role that is vended for it, on the rows of its file."""

import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

from rolevend.catalog import Catalog, Family, TableId
from rolevend.decision.offers import available_offers
from rolevend.decision.outcome import Granted
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import InvalidInput
from rolevend.kinds import UserAttributes, values
from rolevend.kinds.policy_test import Case, PolicyTest
from rolevend.model import ObjectName, PlatformName, Uid
from rolevend.naming import role_name
from rolevend.platforms.postgres import Passwords, PostgresInstallOptions, PostgresLogin, PostgresPlatform, install, plan
from rolevend.platforms.postgres.types import type_name
from rolevend.platforms.protocol import Address, DropRequest, EndReason, Secret
from rolevend.policy.literal import canonical
from rolevend.policytools.carriers import uncarried, without_users
from rolevend.policytools.cases import faults_of, granted, read_cases, requested
from rolevend.policytools.decisions import ANY_AGENT, Requester, decide, decide_approved, opened, unlabelled, without_labels
from rolevend.policytools.embedded.connection import Connection
from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.folder import CLUSTER, Catalogs, Folder

_OWNER = "policy_test_owner"
_SECONDS = 600
RowText = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Tried:
    file: str
    case: str
    failures: tuple[str, ...]
    """Differences between expected and actual rows; empty if the case passes."""


def run(paths: Sequence[Path], catalogs: Catalogs, on_doubt: Callable[[str], None]) -> Iterator[Tried]:
    """Run every case in `paths`, which also hold the objects. First call `on_doubt` for each value that nobody has, and each policy that
    covers nobody. Raises InvalidInput if there is no case."""
    folder = Folder.sound(paths)
    built = folder.build(catalogs).snapshot
    tests = _tests(folder, built, catalogs)
    users = folder.of(UserAttributes)
    for doubt in dict.fromkeys(each.told(folder) for each in (*uncarried(folder, users), *without_users(folder, users))):
        on_doubt(doubt)
    purposes = {case.purpose for _, test in tests for case in test.cases if case.purpose}
    unlabelled_namespaces = unlabelled(built, built.agents)
    snapshot = opened(built, purposes=purposes)
    for name in dict.fromkeys(PlatformName(test.platform) for _, test in tests):
        catalog = catalogs[name]
        with _installed(catalog) as (platform, database):
            for file, test in tests:
                if test.platform == name:
                    _fill(database, catalog, test)
                    for case in test.cases:
                        # The platform's terms for an agent decide its access: a case must not pass because they are unknown.
                        unknown = without_labels(unlabelled_namespaces & {case.agent.namespace}) if case.agent else []
                        failures = unknown or _failures(case, test, snapshot, catalog, platform, database)
                        yield Tried(file, case.name, tuple(failures))


def _tests(folder: Folder, snapshot: Snapshot, catalogs: Catalogs) -> list[tuple[str, PolicyTest]]:
    """Return every file of cases. Raises InvalidInput for the first mistake, which is not a failed case."""
    files, refused = read_cases(folder)
    if not folder.cases:
        raise InvalidInput("", "no file of cases is there: its format is rolevend.dev/policy-test/v1")
    faults = [(each.document, fault) for each in refused for fault in each.faults]
    for document, test in ((each.document, each.test) for each in files):
        catalog = catalogs.get(PlatformName(test.platform))
        if catalog is None:
            faults.append((document, InvalidInput("platform", f"the catalog of DataPlatform {test.platform} must be given")))
        faults += ((document, fault) for fault in faults_of(test, snapshot, catalog))
    if faults:
        (document, first), others = faults[0], len(faults) - 1
        everything = f"and {others} more; rolevend policy check names everything" if others else "rolevend policy check names everything"
        raise InvalidInput(first.field, f"{first.message} ({document.place(first.field)}; {everything})")
    return [(each.document.file, each.test) for each in files]


@contextmanager
def _installed(catalog: Catalog) -> Iterator[tuple[PostgresPlatform, Connection]]:
    """Start a server as the platform, with the catalog's tables and rolevend installed."""
    with PostgresServer(18, fsync=False) as server:
        database = server.superuser.to_database("cases")
        with psycopg.connect(server.superuser.dsn, autocommit=True) as outside:
            outside.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database.database)))
        options = PostgresInstallOptions(tuple(sorted({table.schema for table in catalog.tables})))
        vendor, programmer = (PostgresLogin(name, Secret(secrets.token_urlsafe(16))) for name in (options.vendor, options.programmer))
        passwords = Passwords(vendor=vendor.password, programmer=programmer.password)
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            _make_tables(connection, catalog)
            digest = plan(connection, options).digest
            install(connection, options, accept=digest, passwords=passwords, randomness=secrets.token_bytes)
        platform = PostgresPlatform(Address(database.host, database.port, database.database, database.tls), CLUSTER, vendor, programmer)
        try:
            yield platform, database
        finally:
            platform.close()


def _make_tables(connection: "psycopg.Connection[tuple[Any, ...]]", catalog: Catalog) -> None:
    connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(_OWNER)))
    for schema in sorted({table.schema for table in catalog.tables}):
        connection.execute(sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(sql.Identifier(schema), sql.Identifier(_OWNER)))
    connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(_OWNER)))
    for name, table in catalog.tables.items():
        columns = (sql.SQL("{} {}").format(sql.Identifier(each.name), type_name(each.native_type)) for each in table.columns)
        connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name.schema, name.name), sql.SQL(", ").join(columns)))
    connection.execute("RESET ROLE")


def _fill(database: Connection, catalog: Catalog, test: PolicyTest) -> None:
    """Replace all rows by the file's."""
    rows = {TableId(each.schema_name, each.name): each.rows for each in test.tables}
    with psycopg.connect(database.dsn) as connection:
        for name in catalog.tables:
            where = sql.Identifier(name.schema, name.name)
            connection.execute(sql.SQL("DELETE FROM {}").format(where))
            for row in rows.get(name, ()):
                names = sql.SQL(", ").join(map(sql.Identifier, row))
                literals = sql.SQL(", ").join(sql.Literal(None if each is None else _text(each)) for each in row.values())
                try:
                    connection.execute(sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(where, names, literals))
                except psycopg.Error as error:
                    raise InvalidInput("tables", f"a row of {name} cannot be written: {error.diag.message_primary or error}") from error


def _failures(
    case: Case, test: PolicyTest, snapshot: Snapshot, catalog: Catalog, platform: PostgresPlatform, database: Connection
) -> Iterator[str]:
    agent = ObjectName(case.agent.namespace, case.agent.name) if case.agent else ANY_AGENT
    who = Requester(values.user(case.user), agent, PlatformName(test.platform), case.purpose or "", case.expiration_seconds)
    table = TableId(case.schema_name, case.table)
    yield from _other_offers(case, snapshot, replace(who, resources=(table,)))
    (approved,) = case.approved or (None,)
    found = decide(snapshot, who) if approved is None else decide_approved(snapshot, who, requested(approved), granted(approved))
    seen = None
    if isinstance(found, Granted):
        seen = _seen(found, table, platform, database)
    if seen is None:
        if case.sees is not None:
            yield f"{table} is not there: {'no policy grants it' if isinstance(found, Granted) else found.message}"
    elif case.sees is None:
        yield f"{table} is there, with {len(seen)} rows"
    else:
        families = {column.name: column.family for column in catalog.tables[table].columns}
        expected = Counter(_row(row.items(), families) for row in case.sees)
        actual = Counter(_row(row.items(), families) for row in seen)
        yield from (f"expected, and not seen: {_shown(row)}" for row in (expected - actual).elements())
        yield from (f"seen, and not expected: {_shown(row)}" for row in (actual - expected).elements())


def _other_offers(case: Case, snapshot: Snapshot, who: Requester) -> Iterator[str]:
    """Yield the differences between the offers that the case expects, and those that the user may ask for."""
    if case.offers is not None:
        offered = {str(each.terms.offer) for each in available_offers(snapshot, who.request, role_exists=True)}
        yield from (f"expected, and not offered: {each}" for each in sorted(set(case.offers) - offered))
        yield from (f"offered, and not expected: {each}" for each in sorted(offered - set(case.offers)))


def _seen(found: Granted, table: TableId, platform: PostgresPlatform, database: Connection) -> list[dict[str, str | None]] | None:
    """Return the rows as text, as the agent reads them; None: it cannot see the table."""
    shape = next((each for each in found.profile.tables if each.table == table), None)
    if shape is None:
        return None
    uid = Uid(str(uuid4()))
    role = role_name(found.lease.agent_handle, found.user_handle, uid)
    lease = replace(found.lease, uid=uid, role=role, expires_at=datetime.now(UTC) + timedelta(seconds=_SECONDS))
    platform.ensure(replace(found.profile, functions=()))  # a case is about rows, and a catalog has no function bodies
    credential = platform.credential(lease, secrets.token_bytes)
    (vended,) = platform.vend([(lease, credential)])
    if vended.error is not None:
        raise vended.error
    try:
        names = [column.name for column in shape.columns]
        cast = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
        with psycopg.connect(database.as_user(role, credential.password.reveal()).dsn) as session:
            rows = session.execute(sql.SQL("SELECT {} FROM {}").format(cast, sql.Identifier(shape.view))).fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]
    finally:
        platform.drop([DropRequest(role, uid, EndReason.RELEASED)])


def _row(cells: Iterable[tuple[str, Any]], families: Mapping[str, Family]) -> RowText:
    return tuple(sorted((name, None if value is None else comparable(_text(value), families[name])) for name, value in cells))


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def comparable(text: str, family: Family) -> str:
    """Return the canonical spelling of a value of this family: the number 12.50 is 12.5, the text 12.50 stays 12.50."""
    match family:
        case Family.INTEGER | Family.NUMERIC | Family.FLOAT:
            return canonical(_plain(text), Family.NUMERIC) or text
        case Family.TIMESTAMP_TZ:
            return canonical(_HOURS.sub(r"\g<0>:00", text), family) or text
        case _:
            return canonical(text, family) or text


_HOURS = re.compile(r"(?<=[0-9])[+-][0-9]{2}$")
"""A UTC offset as PostgreSQL writes it."""
_LONGEST_EXPONENT = 1_000


def _plain(text: str) -> str:
    """Return a number in full, without exponent."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return format(number, "f") if number.is_finite() and abs(number.adjusted()) < _LONGEST_EXPONENT else text


def _shown(row: RowText) -> str:
    return ", ".join(f"{name} {'NULL' if value is None else value}" for name, value in row)
