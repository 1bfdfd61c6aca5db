"""The names of the control database, and the lease that a query reads from it. Pure.

A lease is a set of rows in ROLEVEND.CONTROL.LEASE, which are only inserted: one opens it, each repeated vend adds one, and one ends it.
`lease_of` and `narrowed_to` write such a row; `current_lease` is how policies and views read it.
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
"""Granted to every profile: a session that has it belongs to an agent, in any role."""
OWNER: Final = "RV_PROGRAMMER"
"""Owns profiles' schemas, views and policies, which read tables and leases with its privileges."""
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
"""EXPIRES_AT has a time zone, because otherwise the reader's session would decide. ATTRS and TABLES are JSON texts of `lease_of` and
`narrowed_to`; TABLES is NULL if a lease covers all of the profile's tables. EVENT is OPENED or the reason of the end.
"""
SALT_TABLE: Final = 'CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."SALT" (SALT BINARY NOT NULL, DOMAIN VARCHAR)'
"""One row: the salt of the mask Hash, and the key domain if it is shared."""

COMPARED: Final = tuple(each for each in Family if each not in (Family.OTHER, Family.UUID))
"""The families that attribute values are compared in."""


def control(part: str) -> Sql:
    """Return the qualified name of a table or policy of the control database."""
    return Sql(f"{name(DATABASE)}.{name(SCHEMA)}.{name(part)}")


def profile_role(profile: ProfileName) -> str:
    """Return the name of the profile's role and schema."""
    return profile.upper()


def lease_of(attributes: Attributes) -> str:
    """Return ATTRS: for each attribute its values as texts of each family that all of them fit. Comparisons in other families fail, so no
    platform parses an ambiguous text.
    """
    listed = {
        key: {family.value: [_spelled(value, family) for value in values] for family in COMPARED if _all_fit(values, family)}
        for key, values in attributes
    }
    return json.dumps({key: families for key, families in listed.items() if families}, sort_keys=True)


def narrowed_to(resources: Iterable[TableId] | None) -> str | None:
    """Return TABLES, the tables that a lease is narrowed to; None: all of its profile."""
    return None if resources is None else json.dumps(sorted(map(table_key, resources)))


def table_key(table: TableId) -> str:
    """Return a unique text for a table."""
    return qualified(table.schema, table.name)


def current_lease(profile: ProfileName, table: TableId) -> Sql:
    """Return a sub-select with ATTRS in one row if the session's role has a live lease of `profile` that covers `table`, else with no row.
    It names no column of any other table.

    Contradictory rows are no lease. The earliest end counts.
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
    """Return the canonical text that `predicate` compares with."""
    text = canonical(value, family) or ""
    match family:
        case Family.FLOAT:
            return repr(float(text))
        case Family.TIMESTAMP | Family.TIMESTAMP_TZ:
            return datetime.fromisoformat(text).replace(tzinfo=None).isoformat(timespec="microseconds") + "000"
        case _:
            return text
