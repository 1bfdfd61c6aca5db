"""Where canaries live: a schema with a few rows, and profiles over it, made with the operator's two logins and nothing else.

They belong to a cluster of their own, so that no sweep, no listing and no search for drift of the real one meets them. Rows hold a
random token, so that what is seen of them is known wherever it turns up.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from psycopg import sql

from rolevend.catalog import Table, TableId
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Cell, ColumnShape, Lease, Profile, TableShape
from rolevend.platforms.canaries import Profiles
from rolevend.platforms.postgres.attest.probes import ProbedColumn, ProbedView
from rolevend.platforms.postgres.attest.session import AttestSession
from rolevend.platforms.postgres.connections import PostgresLogin, connect
from rolevend.platforms.postgres.types import type_name
from rolevend.platforms.protocol import Address, DropRequest, EndReason, PasswordCredential, Platform, Randomness
from rolevend.policy.expression import AttributeMembership, ColumnReference, Comparison, Condition, Literal, Operator
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit

PEOPLE, GUARDED, TIMED, DATED = "people", "guarded", "timed", "dated"
"""The tables. The second and the third are changed by hand on the way."""
REGIONS = ("eu", "eu", "us", "us", "apac", None)
"""Of the people 0 to 5, each with the token behind it."""
CODES = ("12345678", "1234567", "1", "", "é☃é☃é☃é☃", None)
AMOUNTS = ("1299.99", "-1299.99", "0", "99", "1e20", None)
PHONES = ("+49 30 1234", "unlisted", "0", "", "٣☃", None)
WITHHELD = "withheld"
PROBED = ProbedView(
    "probed",
    (
        ProbedColumn("small", "smallint", "10", "20", "30"),
        ProbedColumn("number", "integer", "10", "20", "30"),
        ProbedColumn("big", "bigint", "10", "20", "30"),
        ProbedColumn("rate", "double precision", "1.5", "2.5", "3.5"),
        ProbedColumn("amount", "numeric", "1.5", "2.5", "3.5"),
        ProbedColumn("day", "date", "2001-01-01", "2002-01-01", "2003-01-01"),
        ProbedColumn("moment", "timestamp with time zone", "2001-01-01 10:00Z", "2002-01-01 10:00Z", "2003-01-01 10:00Z"),
        ProbedColumn("word", "text", "low", "mid", "top"),
        ProbedColumn("key", "uuid", f"{1:032x}", f"{2:032x}", f"{3:032x}"),
        ProbedColumn("host", "inet", "10.0.0.1", "10.0.1.1", "10.0.2.1"),
        ProbedColumn("list", "integer[]", "{6}", "{7}", "{9}"),
        ProbedColumn("document", "jsonb", '{"b": 6}', '{"a": 7}', '{"c": 9}'),
        ProbedColumn("flag", "boolean", "", "true"),
        ProbedColumn("nothing", "integer", "", "", "30"),
    ),
    hidden=3,
    other=GUARDED,
)
"""A table with a column for each kind of condition, and who is the hidden person in it."""
MASKS: Mapping[str, Mask] = {
    "email": Hash(),
    "ssn": Nullify(),
    "code": Partial(4),
    "born": DateTrunc(Unit.YEAR),
    "note": Constant(WITHHELD),
    "amount": Round("100"),
    "phone": Regex("[0-9]", "#"),
}
EVERY_ROW = Condition((), None)
_LATER = timedelta(hours=1)
_LIMITS = sql.SQL("SET statement_timeout = '10s'; SET lock_timeout = '5s'")


class PasswordPlatform(Platform, Protocol):
    """A driver whose roles log in by passwords."""

    def credential(self, lease: Lease, randomness: Randomness) -> PasswordCredential: ...


@dataclass(frozen=True, slots=True)
class PostgresAttestEnvironment:
    """Where an attestation takes place, and with whose logins."""

    platform: PasswordPlatform
    """A driver for `cluster`."""
    cluster: ClusterId
    """Of the canaries alone: see `platforms.canaries`."""
    address: Address
    vendor: PostgresLogin
    programmer: PostgresLogin
    randomness: Randomness
    alone: bool = False
    wanted: Callable[[], bool] = lambda: True
    """Both: see `platforms.base.Platform.attest`."""

    @property
    def schema(self) -> str:
        return f"rv_canary_{_digest(self.cluster).hex()[:16]}"

    @property
    def turn(self) -> int:
        """The key of the lock that one attestation of a cluster holds."""
        return int.from_bytes(_digest(self.cluster)[:8], "big", signed=True)


def open_session(ends: ExitStack, address: Address, login: PostgresLogin, *, proof: bool = True) -> AttestSession:
    connection = connect(address, login, proof=proof)
    ends.callback(connection.close)
    connection.autocommit = True
    connection.execute(_LIMITS)
    return AttestSession(connection)


def clear(ground: PostgresAttestEnvironment, programmer: AttestSession) -> None:
    """Takes away whatever there is of canaries. The first thing that stays is raised."""
    platform = ground.platform
    left = [DropRequest(role.role, role.uid, EndReason.ORPHANED) for role in platform.live()]
    for answer in platform.drop(left):
        if answer.error is not None:
            raise answer.error
    programmer.run(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(ground.schema)))
    platform.collect(frozenset(), now(programmer) + _LATER)


def now(session: AttestSession) -> datetime:
    """By the server's clock, which decides."""
    ((moment,),) = session.rows(sql.SQL("SELECT clock_timestamp()"))
    assert isinstance(moment, datetime)  # noqa: S101 - for mypy
    return moment.astimezone(UTC)


def lay_out(ground: PostgresAttestEnvironment, programmer: AttestSession, token: str) -> None:
    """The schema, its tables and their rows, owned by the programmer."""
    people = [
        (
            *(number, region and f"{region}-{token}", f"p{number}@{token}.example", f"ssn-{token}-{number}"),
            *(code, f"198{number}-05-17", token, amount, phone),
        )
        for number, (region, code, amount, phone) in enumerate(zip(REGIONS, CODES, AMOUNTS, PHONES, strict=True))
    ]
    rows = sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, row))) for row in people)
    words = {
        "schema": sql.Identifier(ground.schema),
        "people": sql.Identifier(ground.schema, PEOPLE),
        "statistics": sql.Identifier(ground.schema, "people_statistics"),
        "guarded": sql.Identifier(ground.schema, GUARDED),
        "timed": sql.Identifier(ground.schema, TIMED),
        "dated": sql.Identifier(ground.schema, DATED),
        "probed": sql.Identifier(ground.schema, PROBED.name),
        "probed_columns": _listed(sql.SQL("{} {}").format(sql.Identifier(each.name), type_name(each.type)) for each in PROBED.columns),
        "probed_rows": _listed(sql.SQL("({})").format(_listed(values)) for values in _probed_rows(token)),
        "probed_indexes": sql.SQL("\n").join(
            sql.SQL("CREATE INDEX ON {} ({});").format(sql.Identifier(ground.schema, PROBED.name), sql.Identifier(each.name))
            for each in PROBED.columns
        ),
    }
    programmer.run(
        sql.SQL(
            """
            CREATE SCHEMA {schema};
            COMMENT ON SCHEMA {schema} IS 'of an attestation by rolevend, which takes it away again';
            CREATE TABLE {people} (id integer, region text, email text, ssn text, code text, born date, note text,
                                   amount numeric, phone text);
            CREATE TABLE {guarded} (id integer, region text);
            CREATE TABLE {timed} (id integer);
            CREATE TABLE {dated} (day date, at timestamptz);
            INSERT INTO {people} SELECT v.id, v.region, v.email, v.ssn, v.code, v.born::date, v.note, v.amount::numeric, v.phone
              FROM (VALUES {rows}) AS v (id, region, email, ssn, code, born, note, amount, phone);
            CREATE TABLE {probed} (id integer PRIMARY KEY, region text, {probed_columns}) WITH (autovacuum_enabled = false);
            INSERT INTO {probed} VALUES {probed_rows};
            {probed_indexes}
            INSERT INTO {guarded} SELECT id, region FROM {people};
            INSERT INTO {timed} VALUES (1), (2);
            INSERT INTO {dated} VALUES ('2024-02-01', '2024-02-01T00:00:00Z'), ('2024-01-02', '2024-02-01T00:00:00+09:00');
            CREATE STATISTICS {statistics} ON region, ssn FROM {people};
            ANALYZE {people};
            """
        ).format(**words, rows=rows)
    )


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _probed_rows(token: str) -> Iterator[list[sql.Composable]]:
    for number, region in enumerate(REGIONS):
        typed = [sql.SQL("{}::{}").format(each.value(number, PROBED.hidden), type_name(each.type)) for each in PROBED.columns]
        yield [sql.Literal(number), sql.Literal(region and f"{region}-{token}"), *typed]


def profiles(ground: PostgresAttestEnvironment) -> Profiles:
    tables = ground.platform.catalog(frozenset({ground.schema})).tables
    names = (PEOPLE, GUARDED, TIMED, DATED, PROBED.name)
    people, guarded, timed, dated, probed = (tables[TableId(ground.schema, name)] for name in names)
    first, second = _equal(people, "id", "0"), _equal(people, "id", "2")
    mixed = {
        "email": (Cell((first,), Clear()),),
        "ssn": (Cell((second,), Clear()), Cell((), Constant(WITHHELD))),
        "code": (Cell((first, second), Clear(), (second,)),),
    }
    own = {name: (Cell((), mask),) for name, mask in MASKS.items()}

    name = ground.randomness(12).hex()  # not the token: names are shown to everybody

    def profile(number: int, *shapes: TableShape) -> Profile:
        return Profile(ProfileName(f"rv_p_canary{name}{number}"), shapes)

    return Profiles(
        profile(
            1,
            _shape(people, [_own(people, "region", "regions")], own),
            *(_shape(each, [_own(each, "region", "regions")]) for each in (guarded, probed)),
        ),
        profile(2, _shape(people, [first, second], mixed)),
        profile(3, _shape(people, [EVERY_ROW])),
        profile(4, _shape(timed, [EVERY_ROW])),
        profile(5, _shape(dated, [_own(dated, "day", "days"), _own(dated, "at", "times")])),
    )


def _shape(table: Table, rows: Sequence[Condition], cells: Mapping[str, tuple[Cell, ...]] | None = None) -> TableShape:
    clear = (Cell((), Clear()),)
    columns = tuple(ColumnShape(each.name, each.family, each.native_type, (cells or {}).get(each.name, clear)) for each in table.columns)
    return TableShape(table.id, table.id.name, tuple(rows), columns)


def _own(table: Table, column: str, attribute: str) -> Condition:
    return Condition((attribute,), AttributeMembership(_reference(table, column), attribute))


def _equal(table: Table, column: str, text: str) -> Condition:
    return Condition((), Comparison(_reference(table, column), Operator.EQUAL, Literal(text, quoted=False)))


def _reference(table: Table, column: str) -> ColumnReference:
    found = table.column(column)
    assert found is not None  # noqa: S101 - we made the table
    return ColumnReference(found.name, found.family, found.native_type)


def _digest(text: str) -> bytes:
    return hashlib.sha256(f"rolevend attestation of {text}".encode()).digest()
