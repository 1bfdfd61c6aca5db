"""Names of rolevend's objects in an account, except the parts of the control database (`control`), as SQL. Pure."""

from typing import Final

from rolevend.model import ProfileName
from rolevend.platforms.snowflake import control
from rolevend.platforms.snowflake.control import control as part
from rolevend.platforms.snowflake.sql import Sql, compose, join, name

DATABASE: Final = name(control.DATABASE)
CONTROL: Final = compose("{}.{}", DATABASE, name(control.SCHEMA))
LEASE: Final = part("LEASE")
PROFILE: Final = part("PROFILE")
FRAGMENT: Final = part("FRAGMENT")
SALT: Final = part("SALT")
OBSTACLE: Final = part("OBSTACLE")
TOOL: Final = part("TOOL")
SESSION_POLICY: Final = part("VENDED_SESSION")
REAPER: Final = part("REAPER")
REAP: Final = compose("{}()", part("REAP"))

MARKER: Final = name(control.MARKER)
PROGRAMMER: Final = name(control.OWNER)
VENDOR_ROLE: Final = "RV_VENDOR"
VENDOR: Final = name(VENDOR_ROLE)
QUARANTINE: Final = name("RV_QUARANTINE")
REAPER_ROLE: Final = name("RV_REAPER")


def database_role(spelled: str) -> Sql:
    """Return a database role of Snowflake, such as SNOWFLAKE.CORTEX_USER."""
    return join(".", map(name, spelled.split(".")))


def cortex_role(database_role: str) -> Sql:
    """Return the role that holds this database role of Snowflake, such as SNOWFLAKE.CORTEX_USER, for the programmer to grant to profiles:
    only an administrator can grant the database role itself.
    """
    return name("RV_" + database_role.removeprefix("SNOWFLAKE."))


def role_of(profile: ProfileName) -> Sql:
    return name(control.profile_role(profile))


def schema_of(profile: ProfileName) -> Sql:
    """Return the schema of its views."""
    return compose("{}.{}", DATABASE, role_of(profile))
