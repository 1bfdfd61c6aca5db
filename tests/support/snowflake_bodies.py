"""What is rendered for Snowflake, asked: tables and leases in DuckDB, read through views and policies as a session would."""

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from rolevend.catalog import Family, Table, TableId
from rolevend.model import Attributes, ProfileName
from rolevend.platforms.snowflake.build.policies import SnowflakePolicy
from rolevend.platforms.snowflake.control import MARKER, OPENED, lease_of, narrowed_to, profile_role
from tests.support.oracle_rows import Row
from tests.support.snowflake_dialect import Database, Session

Value = TypeVar("Value")
PROFILE = ProfileName("rv_p_3f9a1c00000000000000000000000000")
ROLE = "IMMUTA_VENDED_FINBOT_E10442_3FXWQ4H5S8CK9RN2V6Y0ZTBDGM"
SALT = bytes(range(32))
NATIVE = {
    Family.TEXT: "VARCHAR(16777216)",
    Family.INTEGER: "NUMBER(38,0)",
    Family.NUMERIC: "NUMBER(20,4)",
    Family.FLOAT: "FLOAT",
    Family.BOOLEAN: "BOOLEAN",
    Family.DATE: "DATE",
    Family.TIMESTAMP: "TIMESTAMP_NTZ(9)",
    Family.TIMESTAMP_TZ: "TIMESTAMP_TZ(9)",
    Family.OTHER: "VARIANT",
}


def on_snowflake(value: Value) -> Value:
    """The same table, shape or predicate with Snowflake's types. What PostgreSQL alone has, UUID, is a text there."""
    if isinstance(value, tuple):
        return tuple(map(on_snowflake, value))
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {each.name: on_snowflake(getattr(value, each.name)) for each in dataclasses.fields(value) if each.init}
    if "native_type" in fields:
        fields["family"] = Family.TEXT if fields["family"] is Family.UUID else fields["family"]
        fields["native_type"] = "VARCHAR(40)" if fields["native_type"] == "character varying" else NATIVE[fields["family"]]
    return type(value)(**fields)


def without_uuid(table: Table) -> Table:
    return on_snowflake(dataclasses.replace(table, columns=tuple(each for each in table.columns if each.family is not Family.UUID)))


class Account:
    """PROD with tables, and a role with one lease unless it is changed."""

    def __init__(self) -> None:
        self.database = Database()
        self.database.run('INSERT INTO "ROLEVEND"."CONTROL"."SALT" (SALT) VALUES (?)', [SALT])

    def close(self) -> None:
        self.database.close()

    def table(self, table: Table, rows: Iterable[Row]) -> None:
        """As it is from now on."""
        columns = ", ".join(f"{_quoted(each.name)} {_in_duckdb(each.native_type)}" for each in table.columns)
        self.database.run(f'CREATE SCHEMA IF NOT EXISTS "PROD".{_quoted(table.id.schema)}')
        self.database.run(f"CREATE OR REPLACE TABLE {address(table.id)} ({columns})")
        self.database.fill(address(table.id), ([row[each.name] for each in table.columns] for row in rows))

    def lease(
        self,
        attributes: Attributes = Attributes(),  # noqa: B008 - a frozen value
        *,
        role: str = ROLE,
        profile: ProfileName = PROFILE,
        seconds: float = 900,
        resources: Iterable[TableId] | None = None,
        event: str = OPENED,
        attrs: str | None = None,
    ) -> None:
        """One more row in the table of leases."""
        self.database.run(
            'INSERT INTO "ROLEVEND"."CONTROL"."LEASE" VALUES (?, ?, ?, ?, now(), ?, ?, ?, ?)',
            [
                *(role, "cluster", "uid", event, profile_role(profile)),
                datetime.now(UTC) + timedelta(seconds=seconds),
                lease_of(attributes) if attrs is None else attrs,
                narrowed_to(resources),
            ],
        )

    def forget(self) -> None:
        self.database.run('DELETE FROM "ROLEVEND"."CONTROL"."LEASE"')

    def view(self, create: str, session: Session) -> list[tuple[Any, ...]]:
        """What a view shows."""
        return self.database.rows(create.split(" AS\n", 1)[1], session)

    def governed(
        self, table: Table, row: SnowflakePolicy, masks: Iterable[SnowflakePolicy], session: Session, columns: Sequence[str] = ()
    ) -> list[tuple[Any, ...]]:
        """What a table shows that has these policies. Snowflake puts the columns in the places of the arguments, which have their names."""
        bodies = {each.arguments[0]: body(each) for each in masks}
        shown = [bodies.get(each.name, _quoted(each.name)) for each in table.columns if not columns or each.name in columns]
        return self.database.rows(f"SELECT {', '.join(shown)} FROM {address(table.id)} WHERE {body(row)}", session)


def vended(role: str = ROLE, profile: ProfileName = PROFILE, *others: str) -> Session:
    """A session of a vended role."""
    return Session(role, frozenset({role, profile_role(profile), MARKER, "PUBLIC", *others}))


def body(policy: SnowflakePolicy) -> str:
    return policy.create.split(" ->\n", 1)[1]


def address(table: TableId) -> str:
    return f'"PROD".{_quoted(table.schema)}.{_quoted(table.name)}'


def _in_duckdb(native_type: str) -> str:
    kind, _, numbers = native_type.partition("(")
    known = {"VARCHAR": "VARCHAR", "FLOAT": "DOUBLE", "BOOLEAN": "BOOLEAN", "DATE": "DATE", "VARIANT": "JSON"}
    instants = {"TIMESTAMP_NTZ": "TIMESTAMP", "TIMESTAMP_TZ": "TIMESTAMPTZ", "TIMESTAMP_LTZ": "TIMESTAMPTZ"}
    return f"DECIMAL({numbers}" if kind == "NUMBER" else (known | instants)[kind]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
