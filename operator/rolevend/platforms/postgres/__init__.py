"""PostgreSQL 16 to 18. `PostgresPlatform` is the driver; `plan` and `install` prepare a database for it, `plan_uninstall` and
`uninstall` take that back.

The SQL is in files: `sql/install` is installed in order; `sql/survey`, `sql/removal` and `sql/query` only read. Only this package
imports psycopg.
"""

from rolevend.platforms.postgres.connections import PostgresLimits, PostgresLogin, connected
from rolevend.platforms.postgres.driver import PostgresPlatform
from rolevend.platforms.postgres.drop.drops import Tombstone
from rolevend.platforms.postgres.install.findings import Finding, FindingKind
from rolevend.platforms.postgres.install.installer import InstallPlan, Passwords, install, plan
from rolevend.platforms.postgres.install.survey import PostgresInstallOptions, Reach
from rolevend.platforms.postgres.install.uninstaller import plan_uninstall, uninstall

__all__ = [
    "Finding",
    "FindingKind",
    "InstallPlan",
    "Passwords",
    "PostgresInstallOptions",
    "PostgresLimits",
    "PostgresLogin",
    "PostgresPlatform",
    "Reach",
    "Tombstone",
    "connected",
    "install",
    "plan",
    "plan_uninstall",
    "uninstall",
]
