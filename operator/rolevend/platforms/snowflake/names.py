"""What rolevend has in an account beside the control database's own parts (see `control`), by name, ready for a statement. Pure."""

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
    """One of Snowflake's own, such as SNOWFLAKE.CORTEX_USER."""
    return join(".", map(name, spelled.split(".")))


def cortex_role(database_role: str) -> Sql:
    """A role that holds this one of Snowflake's own, such as SNOWFLAKE.CORTEX_USER, for the programmer to give to profiles: of those
    roles only an administrator disposes."""
    return name("RV_" + database_role.removeprefix("SNOWFLAKE."))


def role_of(profile: ProfileName) -> Sql:
    return name(control.profile_role(profile))


def schema_of(profile: ProfileName) -> Sql:
    """Where its views are."""
    return compose("{}.{}", DATABASE, role_of(profile))
