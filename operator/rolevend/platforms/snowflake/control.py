"""The control database, by name, and the lease that a query finds in it. Pure.

A lease is rows of ROLEVEND.CONTROL.LEASE that are only ever added: one that opens it, one more where a vend was repeated, and one that ends
it. `lease_of` and `narrowed_to` are what such a row holds; `current_lease` is how policies and views read it.
"""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rolevend.catalog import Family, TableId
from rolevend.model import Attributes, ProfileName
from rolevend.platforms.snowflake.sql import Sql, compose, literal, name, qualified
from rolevend.policy.literal import canonical, value_fits

DATABASE: Final = "ROLEVEND"
SCHEMA: Final = "CONTROL"
MARKER: Final = "RV_MARKER"
"""Granted to every profile: a session that has it reads for an agent, whatever role it says it is in."""
OWNER: Final = "RV_PROGRAMMER"
"""Owns profiles' schemas and views, and the policies; reads the tables and the lease for them."""
OPENED: Final = "VENDED"
"""The EVENT of rows that open a lease. Any other one ends it."""

LEASE_TABLE: Final = """\
CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."LEASE" (
    ROLE VARCHAR NOT NULL,
    CLUSTER VARCHAR NOT NULL,
    UID VARCHAR NOT NULL,
    EVENT VARCHAR NOT NULL,
    RECORDED_AT TIMESTAMP_TZ NOT NULL DEFAULT CURRENT_TIMESTAMP(),
    PROFILE VARCHAR,
    EXPIRES_AT TIMESTAMP_TZ,
    ATTRS VARCHAR,
    TABLES VARCHAR
)"""
"""EXPIRES_AT has its zone: without one the reader's session would say when it is. ATTRS and TABLES are JSON texts, as `lease_of` and
`narrowed_to` write them; TABLES is NULL where a lease is for all of the profile's tables. EVENT is one of OPENED, or what ended it."""
SALT_TABLE: Final = 'CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."SALT" (SALT BINARY NOT NULL, DOMAIN VARCHAR)'
"""One row: what the mask Hash is made with, and the key domain where that is shared."""

COMPARED: Final = tuple(each for each in Family if each not in (Family.OTHER, Family.UUID))
"""The families that values of attributes are compared in."""


def control(part: str) -> Sql:
    """A part of the control database: a table, or a policy."""
    return Sql(f"{name(DATABASE)}.{name(SCHEMA)}.{name(part)}")


def profile_role(profile: ProfileName) -> str:
    """The profile's role, and its schema in the control database."""
    return profile.upper()


def lease_of(attributes: Attributes) -> str:
    """ATTRS: of each attribute the values as texts of each family that all of them can be compared in. What is missing is not compared,
    so no platform is asked to read a text that it could misread."""
    listed = {
        key: {family.value: [_spelled(value, family) for value in values] for family in COMPARED if _all_fit(values, family)}
        for key, values in attributes
    }
    return json.dumps({key: families for key, families in listed.items() if families}, sort_keys=True)


def narrowed_to(resources: Iterable[TableId] | None) -> str | None:
    """TABLES: the only ones that a lease is for; None: all of its profile."""
    return None if resources is None else json.dumps(sorted(map(table_key, resources)))


def table_key(table: TableId) -> str:
    """A text for a table, no other one's."""
    return qualified(table.schema, table.name)


def current_lease(profile: ProfileName, table: TableId) -> Sql:
    """A sub-select with one row, in which ATTRS is, where the session's role has a lease of `profile` that lives and covers `table`; else
    with none. It names no column of any table but the lease's.

    Rows that contradict each other are no lease. Of the dates on which it might end the first one counts.
    """
    return compose(
        """\
SELECT PARSE_JSON(MIN(v.ATTRS)) AS ATTRS
                 FROM {lease} AS v
                WHERE v.ROLE = CURRENT_ROLE()
                GROUP BY v.ROLE
               HAVING COUNT_IF(v.EVENT = {opened}) = COUNT(*)
                  AND MIN(v.EXPIRES_AT) > CURRENT_TIMESTAMP()
                  AND MIN(v.PROFILE) = {profile} AND MAX(v.PROFILE) = {profile}
                  AND MIN(v.ATTRS) = MAX(v.ATTRS)
                  AND MIN(COALESCE(v.TABLES, '')) = MAX(COALESCE(v.TABLES, ''))
                  AND (MIN(v.TABLES) IS NULL OR ARRAY_CONTAINS({table}::VARIANT, PARSE_JSON(MIN(v.TABLES))::ARRAY))""",
        lease=control("LEASE"),
        opened=literal(OPENED),
        profile=literal(profile_role(profile)),
        table=literal(table_key(table)),
    )


def _all_fit(values: tuple[str, ...], family: Family) -> bool:
    return bool(values) and all(value_fits(value, family) for value in values)


def _spelled(value: str, family: Family) -> str:
    """The one text that `predicate` compares with."""
    text = canonical(value, family) or ""
    match family:
        case Family.FLOAT:
            return repr(float(text))
        case Family.TIMESTAMP | Family.TIMESTAMP_TZ:
            return datetime.fromisoformat(text).replace(tzinfo=None).isoformat(timespec="microseconds") + "000"
        case _:
            return text
