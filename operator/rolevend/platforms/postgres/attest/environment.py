"""The environment of canaries: a schema with a few rows, and profiles over it, created with nothing but the operator's two logins.

Canaries belong to a separate cluster, so that sweeps, lists and drift of the real one never include them. Rows contain a random token, by
which a value that an agent is shown is recognized.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import sql

from rolevend.catalog import TableId
from rolevend.model import ClusterId
from rolevend.platforms.attestation.canaries import CanaryPlatform
from rolevend.platforms.attestation.tables import REGIONS, Profiles, profiles_of, rows_of_people
from rolevend.platforms.postgres.attest.probes import ProbedColumn, ProbedView
from rolevend.platforms.postgres.attest.session import AttestSession
from rolevend.platforms.postgres.connections import PostgresLogin, connect
from rolevend.platforms.postgres.types import type_name
from rolevend.platforms.protocol import Address, PasswordCredential, Randomness

PEOPLE, GUARDED, TIMED, DATED = "people", "guarded", "timed", "dated"
"""The tables. Checks change the second and the third one by hand."""
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
"""A table with a column for each kind of condition, and the id of its hidden row."""
_LIMITS = sql.SQL("SET statement_timeout = '10s'; SET lock_timeout = '5s'")


@dataclass(frozen=True, slots=True)
class PostgresAttestEnvironment:
    """Where an attestation runs, and with which logins."""

    platform: CanaryPlatform[PasswordCredential]
    """A driver for `cluster`."""
    cluster: ClusterId
    """Of the canaries only: see `cluster_of_canaries`."""
    address: Address
    vendor: PostgresLogin
    programmer: PostgresLogin
    randomness: Randomness
    alone: bool = False
    wanted: Callable[[], bool] = lambda: True
    """Both: see `Platform.attest`."""

    @property
    def schema(self) -> str:
        return f"rv_canary_{_digest(self.cluster).hex()[:16]}"

    @property
    def turn(self) -> int:
        """The key of the advisory lock that one attestation of a cluster holds."""
        return int.from_bytes(_digest(self.cluster)[:8], "big", signed=True)


def open_session(ends: ExitStack, address: Address, login: PostgresLogin, *, proof: bool = True) -> AttestSession:
    connection = connect(address, login, proof=proof)
    ends.callback(connection.close)
    connection.autocommit = True
    connection.execute(_LIMITS)
    return AttestSession(connection)


def now(session: AttestSession) -> datetime:
    """Return the time by the server's clock, which decides about expiry."""
    ((moment,),) = session.rows(sql.SQL("SELECT clock_timestamp()"))
    assert isinstance(moment, datetime)  # noqa: S101 - for mypy
    return moment.astimezone(UTC)


def create_tables(environment: PostgresAttestEnvironment, programmer: AttestSession, token: str) -> None:
    """Create the schema, its tables and their rows. The programmer owns them."""
    rows = _listed(sql.SQL("({})").format(_listed(map(sql.Literal, row))) for row in rows_of_people(token))
    words = {
        "schema": sql.Identifier(environment.schema),
        "people": sql.Identifier(environment.schema, PEOPLE),
        "statistics": sql.Identifier(environment.schema, "people_statistics"),
        "guarded": sql.Identifier(environment.schema, GUARDED),
        "timed": sql.Identifier(environment.schema, TIMED),
        "dated": sql.Identifier(environment.schema, DATED),
        "probed": sql.Identifier(environment.schema, PROBED.name),
        "probed_columns": _listed(sql.SQL("{} {}").format(sql.Identifier(each.name), type_name(each.type)) for each in PROBED.columns),
        "probed_rows": _listed(sql.SQL("({})").format(_listed(values)) for values in _probed_rows(token)),
        "probed_indexes": sql.SQL("\n").join(
            sql.SQL("CREATE INDEX ON {} ({});").format(sql.Identifier(environment.schema, PROBED.name), sql.Identifier(each.name))
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
            INSERT INTO {people} SELECT v.id::integer, v.region, v.email, v.ssn, v.code, v.born::date, v.note, v.amount::numeric, v.phone
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


def profiles(environment: PostgresAttestEnvironment) -> Profiles:
    tables = environment.platform.catalog(frozenset({environment.schema})).tables
    names = (PEOPLE, GUARDED, PROBED.name, TIMED, DATED)
    people, guarded, probed, timed, dated = (tables[TableId(environment.schema, name)] for name in names)
    return profiles_of(people, (guarded, probed), timed, dated, environment.randomness)


def _digest(text: str) -> bytes:
    return hashlib.sha256(f"rolevend attestation of {text}".encode()).digest()
