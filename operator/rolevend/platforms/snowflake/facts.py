"""What an account says of itself, and what in it weakens the promises. Asked without a warehouse."""

from rolevend.catalog import Column, Family, TableId
from rolevend.errors import PlatformUnavailable
from rolevend.platforms.protocol import ServerFacts
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.build.policies import row_policy
from rolevend.platforms.snowflake.connections import Row, SnowflakeSession
from rolevend.platforms.snowflake.install.installation import VERSION
from rolevend.platforms.snowflake.install.installer import installed_version
from rolevend.platforms.snowflake.sql import Sql, compose, literal

NOT_INSTALLED = "the script of rolevend platform plan was not run in this account, or did not come to its end"

EDITION = "Enterprise or higher"
"""Nobody but the organization's administrator may ask which one. Session policies, without which the script does not come to its end, and
row access policies, without which nothing is attested, are of this one."""

_SELF = Sql("SELECT CURRENT_VERSION() AS version, CURRENT_ACCOUNT_NAME() AS account, CURRENT_ACCOUNT() AS locator")
_PUBLIC = Sql("SHOW GRANTS TO ROLE PUBLIC")
_HARMLESS = frozenset({("USAGE", "ROLE")})
_MOST_NAMED = 5


def facts_of(session: SnowflakeSession) -> ServerFacts:
    """Raises `PlatformUnavailable` where the account is not prepared, or for another rolevend than this one."""
    shown = session.rows(compose("SHOW DATABASES STARTS WITH {}", literal(control.DATABASE)))
    comments = [row.get("comment") for row in shown if row["name"] == control.DATABASE]
    version = installed_version(comments[0]) if comments else None
    if version is None:
        raise PlatformUnavailable(NOT_INSTALLED)
    if version > VERSION:
        raise PlatformUnavailable(f"version {version} of rolevend's script was run in this account, and this rolevend knows {VERSION}")
    if version < VERSION:
        raise PlatformUnavailable(f"version {version} of rolevend's script was run in this account, and {VERSION} is needed: run it again")
    (told,) = session.rows(_SELF)
    return ServerFacts(
        version=str(told["version"]),
        identifier=f"{told['account']}.{told['locator']}",
        edition=EDITION,
        limitations=tuple(_of_public(session.rows(_PUBLIC))),
    )


def expect_row_policies(session: SnowflakeSession) -> None:
    """Raises the connector's own error where the account has none, as in Standard Edition. Makes a wall, for tables to share."""
    any_table, column = TableId("", ""), Column("C", Family.TEXT, "VARCHAR(16777216)")
    session.rows(Sql(row_policy(any_table, (column,), {}).create))


def _of_public(rows: list[Row]) -> list[str]:
    """Every role inherits PUBLIC, the vended ones, too."""
    held = sorted({f"{row['privilege']} on {row['granted_on']} {row['name']}" for row in rows if not _is_harmless(row)})
    if not held:
        return []
    named = ", ".join(held[:_MOST_NAMED]) + (f" and {len(held) - _MOST_NAMED} more" if len(held) > _MOST_NAMED else "")
    return [f"every vended role has what PUBLIC has: {named}"]


def _is_harmless(row: Row) -> bool:
    return (row["privilege"], row["granted_on"]) in _HARMLESS
