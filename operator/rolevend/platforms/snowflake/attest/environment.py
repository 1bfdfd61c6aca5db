"""Where canaries live: a schema in our own database with a few rows, and profiles over it, made with the operator's two logins.

The script of the installation grants nothing for it. The programmer may create schemas in ROLEVEND anyway, since profiles have some, and
owns what it makes there; so it may lend what it owns, which is how somebody who grants by hand is played. Nothing of the customer's
database is touched.

Canaries belong to a cluster of their own, so that no sweep, no listing and no search for drift of the real one meets them. Rows hold a
random token, so that what is seen of them is known wherever it turns up.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from rolevend.catalog import Column, TableId
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Cell, ColumnShape, Profile, TableShape
from rolevend.platforms.canaries import Profiles
from rolevend.platforms.protocol import Account, Platform, Randomness
from rolevend.platforms.snowflake.build.policies import row_policy
from rolevend.platforms.snowflake.connections import SnowflakeLimits, SnowflakeLogin, SnowflakeSession
from rolevend.platforms.snowflake.control import DATABASE
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, name, qualified
from rolevend.platforms.snowflake.types import family
from rolevend.policy.expression import AttributeMembership, ColumnReference, Comparison, Condition, Literal, Operator
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit

ID: Final = "NUMBER(17,0)"
"""Of a type that hardly anybody else uses, so that the wall of canaries, which tables share by the type of a column, is theirs alone."""
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
"""The governed ones, by column and type. Somebody has granted the second one to a profile by hand."""
UNGOVERNED: Final = "UNGOVERNED"
"""Another table, with one row and no policy."""
REGIONS: Final = ("eu", "eu", "us", "us", "apac", None)
"""Of the people 0 to 5, each with the token behind it."""
CODES: Final = ("12345678", "1234567", "1", "", "é☃é☃é☃é☃", None)
AMOUNTS: Final = ("1299.99", "-1299.99", "0", "99", "100000000000000000000", None)
PHONES: Final = ("+49 30 1234", "unlisted", "0", "", "٣☃", None)
WITHHELD: Final = "withheld"
MASKS: Final[Mapping[str, Mask]] = {
    "EMAIL": Hash(),
    "SSN": Nullify(),
    "CODE": Partial(4),
    "BORN": DateTrunc(Unit.YEAR),
    "NOTE": Constant(WITHHELD),
    "AMOUNT": Round("100"),
    "PHONE": Regex("[0-9]", "#"),
}
EVERY_ROW: Final = Condition((), None)


@dataclass(frozen=True, slots=True)
class SnowflakeAttestEnvironment:
    """Where an attestation takes place, and with whose logins."""

    platform: Platform
    """A driver for `cluster`, whose governed database is our own."""
    cluster: ClusterId
    """Of the canaries alone: see `platforms.canaries`."""
    account: Account
    vendor: SnowflakeLogin
    programmer: SnowflakeLogin
    limits: SnowflakeLimits
    randomness: Randomness
    alone: bool = False
    wanted: Callable[[], bool] = lambda: True
    """Both: see `platforms.base.Platform.attest`."""

    @property
    def schema(self) -> str:
        """One of this name: whoever makes it attests, and nobody else of this cluster meanwhile."""
        return f"RV_CANARY_{hashlib.sha256(self.cluster.encode()).hexdigest()[:16].upper()}"

    @property
    def bystander(self) -> str:
        """A role that is no profile's, and reads the tables of canaries, as those of people do."""
        return f"{self.schema}_BYSTANDER"

    @property
    def place(self) -> Sql:
        return qualified(DATABASE, self.schema)

    @property
    def is_account(self) -> bool:
        """And no stand-in on this machine."""
        return self.account.encrypted

    def table(self, table: str) -> Sql:
        return qualified(DATABASE, self.schema, table)


def account_of_canaries(account: Account) -> Account:
    return replace(account, database=DATABASE)


def begin(ground: SnowflakeAttestEnvironment, until: datetime) -> Sql:
    """Fails where another attestation of this cluster has begun. Its comment says when it counts as crashed."""
    mark = json.dumps({"rolevend": {"cluster": ground.cluster, "attestation_until": until.isoformat()}}, separators=(",", ":"))
    return compose("CREATE SCHEMA {} DATA_RETENTION_TIME_IN_DAYS = 0 COMMENT = {}", ground.place, literal(mark))


def until_of(comment: str | None) -> datetime | None:
    """What `begin` wrote; None where somebody else did."""
    try:
        found = datetime.fromisoformat(json.loads(comment or "")["rolevend"]["attestation_until"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if found.tzinfo else None


def lay_out(ground: SnowflakeAttestEnvironment, programmer: SnowflakeSession, token: str) -> None:
    """Tables and their rows, owned by the programmer, and a bystander who reads them."""
    people = [
        (
            *(str(number), region and f"{region}-{token}", f"p{number}@{token}.example", f"ssn-{token}-{number}"),
            *(code, f"198{number}-05-17", token, amount, phone),
        )
        for number, (region, code, amount, phone) in enumerate(zip(REGIONS, CODES, AMOUNTS, PHONES, strict=True))
    ]
    rows = join(",\n", [compose("({})", join(", ", [_value(value) for value in row])) for row in people])
    words = {each.lower(): ground.table(each) for each in (*TABLES, UNGOVERNED)}
    bystander, place = name(ground.bystander), ground.place
    programmer.script(
        [
            *(_create(ground.table(table), columns) for table, columns in TABLES.items()),
            compose("CREATE TABLE {} (ID {} NOT NULL, NOTE VARCHAR)", words["ungoverned"], Sql(ID)),
            compose("INSERT INTO {people} VALUES {rows}", rows=rows, **words),
            compose("INSERT INTO {guarded} SELECT ID, REGION FROM {people}", **words),
            compose("INSERT INTO {timed} VALUES (1), (2)", **words),
            compose("INSERT INTO {dated} VALUES (1, '2024-02-01'), (2, '2024-01-02')", **words),
            compose("INSERT INTO {ungoverned} VALUES (1, {})", literal(token), **words),
            compose("CREATE ROLE {} COMMENT = 'of an attestation by rolevend, which takes it away again'", bystander),
            compose("GRANT USAGE ON DATABASE {} TO ROLE {}", name(DATABASE), bystander),
            compose("GRANT USAGE ON WAREHOUSE {} TO ROLE {}", identifier(ground.account.warehouse), bystander),
            compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", place, bystander),
            compose("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO ROLE {}", place, bystander),
        ]
    )


def profiles(ground: SnowflakeAttestEnvironment) -> Profiles:
    first, second = _equal("0"), _equal("2")
    mixed = {
        "EMAIL": (Cell((first,), Clear()),),
        "SSN": (Cell((second,), Clear()), Cell((), Constant(WITHHELD))),
        "CODE": (Cell((first, second), Clear(), (second,)),),
    }
    own = {column: (Cell((), mask),) for column, mask in MASKS.items()}
    random = ground.randomness(12).hex()  # not the token: names are shown to everybody

    def profile(number: int, *shapes: TableShape) -> Profile:
        return Profile(ProfileName(f"rv_p_canary{random}{number}"), shapes)

    def shape(table: str, rows: Sequence[Condition], cells: Mapping[str, tuple[Cell, ...]] | None = None) -> TableShape:
        clear = (Cell((), Clear()),)
        columns = tuple(
            ColumnShape(each.name, each.family, each.native_type, (cells or {}).get(each.name, clear)) for each in columns_of(table)
        )
        return TableShape(TableId(ground.schema, table), table, tuple(rows), columns)

    return Profiles(
        profile(1, shape("PEOPLE", [_own("REGION", "regions")], own), shape("GUARDED", [_own("REGION", "regions")])),
        profile(2, shape("PEOPLE", [first, second], mixed)),
        profile(3, shape("PEOPLE", [EVERY_ROW])),
        profile(4, shape("TIMED", [EVERY_ROW])),
        profile(5, shape("DATED", [_own("DAY", "days")])),
    )


def columns_of(table: str) -> tuple[Column, ...]:
    return tuple(Column(column, family(native), native) for column, native in TABLES[table].items())


def wall(ground: SnowflakeAttestEnvironment) -> str:
    """The policy that all of these tables share."""
    return row_policy(TableId(ground.schema, "PEOPLE"), columns_of("PEOPLE"), {}).name


def _own(column: str, attribute: str) -> Condition:
    native = next(types[column] for types in TABLES.values() if column in types)
    return Condition((attribute,), AttributeMembership(ColumnReference(column, family(native), native), attribute))


def _equal(number: str) -> Condition:
    return Condition((), Comparison(ColumnReference("ID", family(ID), ID), Operator.EQUAL, Literal(number, quoted=False)))


def _create(table: Sql, columns: Mapping[str, str]) -> Sql:
    listed = join(", ", [compose("{} {}", identifier(column), Sql(kind)) for column, kind in columns.items()])
    return compose("CREATE TABLE {} ({})", table, listed)


def _value(text: str | None) -> Sql:
    return Sql("NULL") if text is None else literal(text)
