"""Read the facts of an account, and settings that weaken the promises. Needs no warehouse."""

from rolevend.catalog import Column, Family, TableId
from rolevend.errors import Conflict, PlatformUnavailable
from rolevend.platforms.protocol import ServerFacts
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.build.policies import row_policy
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.install.installation import VERSION
from rolevend.platforms.snowflake.install.installer import installed_version
from rolevend.platforms.snowflake.sql import Sql, compose, literal

NOT_INSTALLED = "the script of rolevend platform plan was not run in this account, or did not come to its end"

EDITION = "Enterprise or higher"
"""Only the organization's administrator can read the edition. The script needs session policies, and attestation needs row access policies,
both of this edition.
"""

_SELF = Sql("SELECT CURRENT_VERSION() AS version, CURRENT_ACCOUNT_NAME() AS account, CURRENT_ACCOUNT() AS locator")
_PUBLIC = Sql("SHOW GRANTS TO ROLE PUBLIC")
_HARMLESS = frozenset({("USAGE", "ROLE")})
_MOST_NAMED = 5


def facts_of(session: SnowflakeSession) -> ServerFacts:
    """Return the facts. Raises `PlatformUnavailable` if the account is not prepared."""
    version = version_in(session)
    if version is None:
        raise PlatformUnavailable(NOT_INSTALLED)
    (row,) = session.rows(_SELF)
    return ServerFacts(
        version=str(row["version"]),
        identifier=f"{row['account']}.{row['locator']}",
        edition=EDITION,
        unusable=_other_version(version),
        limitations=tuple(_of_public(session.rows(_PUBLIC))),
    )


def version_in(session: SnowflakeSession) -> int | None:
    """Return the version of the script that was run to its end, or None."""
    shown = session.rows(compose("SHOW DATABASES STARTS WITH {}", literal(control.DATABASE)))
    comments = [row.get("comment") for row in shown if row["name"] == control.DATABASE]
    return installed_version(comments[0]) if comments else None


def require_no_newer(session: SnowflakeSession) -> None:
    """Raises `Conflict` if a newer version was installed: nothing of it is known."""
    version = version_in(session)
    if version is not None and version > VERSION:
        raise Conflict(f"cannot change this account: {_other_version(version)}")


def _other_version(installed: int) -> str | None:
    if installed == VERSION:
        return None
    way_out = f"this rolevend knows {VERSION}: use a newer rolevend" if installed > VERSION else f"{VERSION} is needed: run it again"
    return f"version {installed} of rolevend's script was run in this account, and {way_out}"


def expect_row_policies(session: SnowflakeSession) -> None:
    """Create a wall for tables to share. Raises the connector's error if the account has no row policies, as in Standard Edition."""
    any_table, column = TableId("", ""), Column("C", Family.TEXT, "VARCHAR(16777216)")
    session.rows(Sql(row_policy(any_table, (column,), {}).create))


def _of_public(rows: list[Row]) -> list[str]:
    """Return the privileges of PUBLIC, which every role inherits, including vended ones."""
    held = sorted({f"{row['privilege']} on {row['granted_on']} {row['name']}" for row in rows if not _is_harmless(row)})
    if not held:
        return []
    named = ", ".join(held[:_MOST_NAMED]) + (f" and {len(held) - _MOST_NAMED} more" if len(held) > _MOST_NAMED else "")
    return [f"every vended role has what PUBLIC has: {named}"]


def _is_harmless(row: Row) -> bool:
    return (row["privilege"], row["granted_on"]) in _HARMLESS
