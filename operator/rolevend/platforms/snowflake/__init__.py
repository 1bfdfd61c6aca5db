"""Snowflake. `SnowflakePlatform` is the driver; `script` is the installation for an administrator.

Rendering is pure: values to SQL text. Only this package imports the connector.
"""

from rolevend.platforms.snowflake.connections import SnowflakeLimits, SnowflakeLogin, connected
from rolevend.platforms.snowflake.driver import SnowflakePlatform
from rolevend.platforms.snowflake.install.installation import PublicKeys, Script, SnowflakeInstallOptions
from rolevend.platforms.snowflake.install.installer import script

__all__ = [
    "PublicKeys",
    "Script",
    "SnowflakeInstallOptions",
    "SnowflakeLimits",
    "SnowflakeLogin",
    "SnowflakePlatform",
    "connected",
    "script",
]
