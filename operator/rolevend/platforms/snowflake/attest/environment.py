"""The environment of canaries: a schema in the database ROLEVEND with a few rows, and profiles over it.

The operator's two logins create it, and the installation grants nothing for it. The programmer may create schemas in ROLEVEND for
profiles, and owns the objects that it creates there, so it can grant them: checks simulate a manual grant in this way. The customer's
database is not touched.

Canaries belong to a separate cluster, so that sweeps, lists and drift of the real one never include them. Rows contain a random token, by
which a value that an agent is shown is recognized.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rolevend.catalog import Column, Table, TableId
from rolevend.model import ClusterId
from rolevend.platforms.attestation.canaries import CanaryPlatform
from rolevend.platforms.attestation.tables import Profiles, profiles_of, rows_of_people
from rolevend.platforms.protocol import Account, KeyPairCredential, Randomness
from rolevend.platforms.snowflake.build.policies import row_policy
from rolevend.platforms.snowflake.connections import SnowflakeLimits, SnowflakeLogin, SnowflakeSession
from rolevend.platforms.snowflake.control import DATABASE
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, name, qualified
from rolevend.platforms.snowflake.types import family

ID: Final = "NUMBER(17,0)"
"""A rare type. Tables share their deny policy by the type of a column, so that canaries get one of their own."""
_TEXT: Final = "VARCHAR(16777216)"
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "PEOPLE": {
        **{"ID": ID, "REGION": _TEXT, "EMAIL": _TEXT, "SSN": _TEXT, "CODE": _TEXT, "BORN": "DATE", "NOTE": _TEXT},
        **{"AMOUNT": "NUMBER(38,2)", "PHONE": _TEXT},
    },
    "GUARDED": {"ID": ID, "REGION": _TEXT},
    "TIMED": {"ID": ID},
    "DATED": {"ID": ID, "DAY": "DATE"},
}
"""The governed tables, by column and type. The second one is granted to a profile by hand."""
UNGOVERNED: Final = "UNGOVERNED"
"""A table with one row and no policy."""


@dataclass(frozen=True, slots=True)
class SnowflakeAttestEnvironment:
    """Where an attestation runs, and with which logins."""

    platform: CanaryPlatform[KeyPairCredential]
    """A driver for `cluster`, whose governed database is ROLEVEND."""
    cluster: ClusterId
    """Of the canaries only: see `cluster_of_canaries`."""
    account: Account
    vendor: SnowflakeLogin
    programmer: SnowflakeLogin
    limits: SnowflakeLimits
    randomness: Randomness
    alone: bool = False
    wanted: Callable[[], bool] = lambda: True
    """Both: see `Platform.attest`."""

    @property
    def schema(self) -> str:
        """Its name is unique for the cluster: the process that creates it attests, and no other one can meanwhile."""
        return f"RV_CANARY_{hashlib.sha256(self.cluster.encode()).hexdigest()[:16].upper()}"

    @property
    def bystander(self) -> str:
        """A role of no profile, which reads the canary tables as other roles of an account read theirs."""
        return f"{self.schema}_BYSTANDER"

    @property
    def place(self) -> Sql:
        return qualified(DATABASE, self.schema)

    @property
    def is_account(self) -> bool:
        """False on a stand-in on this machine."""
        return self.account.encrypted

    def table(self, table: str) -> Sql:
        return qualified(DATABASE, self.schema, table)


def account_of_canaries(account: Account) -> Account:
    return replace(account, database=DATABASE)


def begin(environment: SnowflakeAttestEnvironment, until: datetime) -> Sql:
    """Return the statement that fails if another attestation of this cluster has begun. The comment has the end of the turn."""
    mark = json.dumps({"rolevend": {"cluster": environment.cluster, "attestation_until": until.isoformat()}}, separators=(",", ":"))
    return compose("CREATE SCHEMA {} DATA_RETENTION_TIME_IN_DAYS = 0 COMMENT = {}", environment.place, literal(mark))


def until_of(comment: str | None) -> datetime | None:
    """Return the time that `begin` wrote, or None for any other comment."""
    try:
        found = datetime.fromisoformat(json.loads(comment or "")["rolevend"]["attestation_until"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if found.tzinfo else None


def create_tables(environment: SnowflakeAttestEnvironment, programmer: SnowflakeSession, token: str) -> None:
    """Create tables and rows, which the programmer owns, and a bystander role that reads them."""
    rows = join(",\n", [compose("({})", join(", ", [_value(value) for value in row])) for row in rows_of_people(token)])
    words = {each.lower(): environment.table(each) for each in (*TABLES, UNGOVERNED)}
    bystander, place = name(environment.bystander), environment.place
    programmer.script(
        [
            *(_create(environment.table(table), columns) for table, columns in TABLES.items()),
            compose("CREATE TABLE {} (ID {} NOT NULL, NOTE VARCHAR)", words["ungoverned"], Sql(ID)),
            compose("INSERT INTO {people} VALUES {rows}", rows=rows, **words),
            compose("INSERT INTO {guarded} SELECT ID, REGION FROM {people}", **words),
            compose("INSERT INTO {timed} VALUES (1), (2)", **words),
            compose("INSERT INTO {dated} VALUES (1, '2024-02-01'), (2, '2024-01-02')", **words),
            compose("INSERT INTO {ungoverned} VALUES (1, {})", literal(token), **words),
            compose("CREATE ROLE {} COMMENT = 'of an attestation by rolevend, which takes it away again'", bystander),
            compose("GRANT USAGE ON DATABASE {} TO ROLE {}", name(DATABASE), bystander),
            compose("GRANT USAGE ON WAREHOUSE {} TO ROLE {}", identifier(environment.account.warehouse), bystander),
            compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", place, bystander),
            compose("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO ROLE {}", place, bystander),
        ]
    )


def profiles(environment: SnowflakeAttestEnvironment) -> Profiles:
    people, guarded, timed, dated = (
        Table(TableId(environment.schema, table), columns_of(table)) for table in ("PEOPLE", "GUARDED", "TIMED", "DATED")
    )
    return profiles_of(people, [guarded], timed, dated, environment.randomness)


def columns_of(table: str) -> tuple[Column, ...]:
    return tuple(Column(column, family(native), native) for column, native in TABLES[table].items())


def wall(environment: SnowflakeAttestEnvironment) -> str:
    """The row access policy that all canary tables share."""
    return row_policy(TableId(environment.schema, "PEOPLE"), columns_of("PEOPLE"), {}).name


def _create(table: Sql, columns: Mapping[str, str]) -> Sql:
    listed = join(", ", [compose("{} {}", identifier(column), Sql(kind)) for column, kind in columns.items()])
    return compose("CREATE TABLE {} ({})", table, listed)


def _value(text: str | None) -> Sql:
    return Sql("NULL") if text is None else literal(text)
