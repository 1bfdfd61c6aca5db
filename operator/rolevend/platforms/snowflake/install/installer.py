"""Compute the installation script of an account: statements, each with its reason. Pure.

Every statement may run again; existing objects stay.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.control import LEASE_TABLE, SALT_TABLE
from rolevend.platforms.snowflake.drop.drops import reap
from rolevend.platforms.snowflake.install.installation import (
    PLACEHOLDERS,
    VERSION,
    PublicKeys,
    Script,
    SnowflakeInstallOptions,
    SnowflakeInstallStatement,
    for_tools,
)
from rolevend.platforms.snowflake.names import (
    CONTROL,
    DATABASE,
    FRAGMENT,
    LEASE,
    MARKER,
    OBSTACLE,
    PROFILE,
    PROGRAMMER,
    QUARANTINE,
    REAP,
    REAPER,
    REAPER_ROLE,
    SALT,
    SESSION_POLICY,
    TOOL,
    VENDOR,
)
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, literal, name, qualified

VENDOR_USER: Final = "ROLEVEND_VENDOR"
PROGRAMMER_USER: Final = "ROLEVEND_PROGRAMMER"


def script(account: Account, options: SnowflakeInstallOptions, keys: PublicKeys = PLACEHOLDERS) -> Script:
    """Return the whole installation. Deterministic."""
    return Script(
        account,
        options,
        (
            SnowflakeInstallStatement(
                Sql("USE ROLE ACCOUNTADMIN"), "It makes roles and users, and lends what nobody else can. Nothing of ours keeps it."
            ),
            *_roles(),
            *_control(),
            *_vendor(account),
            *_sees(account, options),
            *_programmer(account, options),
            *for_tools(account, options),
            *_reaper(),
            *_users(account, keys),
            *_end(),
        ),
    )


def digest(account: Account, options: SnowflakeInstallOptions) -> str:
    """Return the digest of the script without keys, as the reader's consent."""
    return hashlib.sha256(script(account, options).text().encode()).hexdigest()


def _roles() -> Iterator[SnowflakeInstallStatement]:
    yield _made(PROGRAMMER, "Builds profiles: views, roles and policies. It reads the governed tables, since its views do.")
    yield _made(VENDOR, "Makes and drops vended roles and their users. It sees which tables there are, and reads none but our own.")
    yield _made(MARKER, "Every profile holds it, and nobody else: by it a policy knows a vended session, whatever its primary role is.")
    yield _made(QUARANTINE, "Nobody has it: what a vended role owned at its end goes there.")
    yield _made(REAPER_ROLE, "Owns the task that ends roles whose time is over, while nothing of ours runs in any cluster.")
    yield SnowflakeInstallStatement(
        compose("GRANT OWNERSHIP ON ROLE {} TO ROLE {} COPY CURRENT GRANTS", MARKER, PROGRAMMER),
        "Only the owner of a role grants it, here to each profile.",
    )


def _made(role: Sql, why: str) -> SnowflakeInstallStatement:
    return SnowflakeInstallStatement(
        compose("CREATE ROLE IF NOT EXISTS {} COMMENT = {}", role, literal(f"rolevend: {why[0].lower()}{why[1:]}")), why
    )


def _control() -> Iterator[SnowflakeInstallStatement]:
    yield SnowflakeInstallStatement(
        compose("CREATE DATABASE IF NOT EXISTS {}", DATABASE),
        "Everything of ours is in one database. Your own get a policy on each governed table, and nothing else.",
    )
    yield SnowflakeInstallStatement(
        compose("CREATE SCHEMA IF NOT EXISTS {}", CONTROL), "Leases, and policies. Profiles have schemas of their own beside it."
    )
    yield SnowflakeInstallStatement(
        Sql(LEASE_TABLE),
        "One row for each vended role, with its time and the values of its user, and one for its end. Rows are only added: an UPDATE "
        "would lock all of them. CLUSTER is NOT NULL since our own guards rely on it.",
    )
    yield SnowflakeInstallStatement(
        compose(
            "CREATE TABLE IF NOT EXISTS {} (\n    PROFILE VARCHAR NOT NULL,\n    CLUSTER VARCHAR NOT NULL,\n    TABLES VARCHAR NOT NULL,\n"
            "    RECORDED_AT TIMESTAMP_TZ NOT NULL DEFAULT CURRENT_TIMESTAMP()\n)",
            PROFILE,
        ),
        "The profiles that are built, and what they read, each written last of all.",
    )
    yield SnowflakeInstallStatement(
        compose("CREATE TABLE IF NOT EXISTS {} (PROFILE VARCHAR NOT NULL, PLACE VARCHAR NOT NULL, FRAGMENT VARCHAR NOT NULL)", FRAGMENT),
        "The part of each profile in a table's policies, so that they can be rebuilt.",
    )
    yield SnowflakeInstallStatement(
        compose(
            "CREATE TABLE IF NOT EXISTS {} (SCHEMA_NAME VARCHAR NOT NULL, TABLE_NAME VARCHAR NOT NULL, OBSTACLE VARCHAR NOT NULL)", OBSTACLE
        ),
        "Tables that cannot be governed, and why: only who programs may ask which policies they have, and who vends must know.",
    )
    yield SnowflakeInstallStatement(
        compose("CREATE TABLE IF NOT EXISTS {} (CLUSTER VARCHAR NOT NULL, TOOL VARCHAR NOT NULL)", TOOL),
        "The tools of agents, and what is behind each: who vends may not see them all, and must decide as the programmer does.",
    )
    yield SnowflakeInstallStatement(Sql(SALT_TABLE), "The secret of the mask Hash. No vended role can read it.")
    yield SnowflakeInstallStatement(
        compose(
            "INSERT INTO {salt} (SALT) SELECT SHA2_BINARY(RANDSTR(64, RANDOM()), 256) WHERE (SELECT COUNT(*) FROM {salt}) = 0", salt=SALT
        ),
        "Made once. With another one every hash is another.",
    )
    yield SnowflakeInstallStatement(
        compose(
            "CREATE SESSION POLICY IF NOT EXISTS {} SESSION_IDLE_TIMEOUT_MINS = 60 SESSION_UI_IDLE_TIMEOUT_MINS = 15 "
            "ALLOWED_SECONDARY_ROLES = ()",
            SESSION_POLICY,
        ),
        "For vended users: no secondary role, and no session that is forgotten. It takes the place of the account's session policy for "
        "them, so copy what that one asks for.",
    )


def _vendor(account: Account) -> Iterator[SnowflakeInstallStatement]:
    to = VENDOR
    yield SnowflakeInstallStatement(
        compose("GRANT CREATE ROLE ON ACCOUNT TO ROLE {}", to), "A vended role is a role. The vendor owns only those that it makes."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT CREATE USER ON ACCOUNT TO ROLE {}", to), "Each vended role has a user of its own, which goes with it."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT USAGE ON WAREHOUSE {} TO ROLE {}", identifier(account.warehouse), to),
        "The row of a lease is written there. Roles and users need no warehouse.",
    )
    yield from _usage(to)
    yield SnowflakeInstallStatement(
        compose("GRANT SELECT, INSERT ON TABLE {} TO ROLE {}", LEASE, to), "It adds leases and their ends, and changes none."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT SELECT ON TABLE {} TO ROLE {}", PROFILE, to), "It vends what is built, and nothing else."
    )
    yield SnowflakeInstallStatement(compose("GRANT SELECT ON TABLE {} TO ROLE {}", OBSTACLE, to), "It decides as the programmer does.")
    yield SnowflakeInstallStatement(compose("GRANT SELECT ON TABLE {} TO ROLE {}", TOOL, to), "The same.")
    yield SnowflakeInstallStatement(
        compose("GRANT APPLY ON SESSION POLICY {} TO ROLE {}", SESSION_POLICY, to), "Every vended user gets it."
    )


def _sees(account: Account, options: SnowflakeInstallOptions) -> Iterator[SnowflakeInstallStatement]:
    """Privileges for the catalog, which a process that only vends also needs."""
    yield SnowflakeInstallStatement(
        compose("GRANT USAGE ON DATABASE {} TO ROLE {}", identifier(account.database), VENDOR), "It finds the governed schemas."
    )
    for schema in sorted(options.schemas):
        place = qualified(account.database, schema)
        yield SnowflakeInstallStatement(compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", place, VENDOR), f"It finds the tables of {schema}.")
        yield SnowflakeInstallStatement(
            compose("GRANT REFERENCES ON ALL TABLES IN SCHEMA {} TO ROLE {}", place, VENDOR),
            "It sees which columns a table has, and no row.",
        )
        yield SnowflakeInstallStatement(
            compose("GRANT REFERENCES ON FUTURE TABLES IN SCHEMA {} TO ROLE {}", place, VENDOR), "The same for tables to come."
        )


def _programmer(account: Account, options: SnowflakeInstallOptions) -> Iterator[SnowflakeInstallStatement]:
    to = PROGRAMMER
    yield SnowflakeInstallStatement(
        compose("GRANT CREATE ROLE ON ACCOUNT TO ROLE {}", to), "Each profile is a role, which it hands to the vendor when it is built."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT USAGE ON WAREHOUSE {} TO ROLE {} WITH GRANT OPTION", identifier(account.warehouse), to),
        "It gives each profile the warehouse that vended roles use.",
    )
    yield SnowflakeInstallStatement(
        compose("GRANT USAGE ON DATABASE {} TO ROLE {} WITH GRANT OPTION", DATABASE, to), "It gives each profile a way to its views."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT CREATE SCHEMA ON DATABASE {} TO ROLE {}", DATABASE, to),
        "The views of a profile are a schema, and so are the canaries of an attestation.",
    )
    yield SnowflakeInstallStatement(
        compose("GRANT USAGE, CREATE ROW ACCESS POLICY, CREATE MASKING POLICY ON SCHEMA {} TO ROLE {}", CONTROL, to),
        "The policies of governed tables are there.",
    )
    yield SnowflakeInstallStatement(
        compose("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO ROLE {}", CONTROL, to), "Its policies and views look leases up."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT INSERT, DELETE ON TABLE {} TO ROLE {}", PROFILE, to), "It writes down what is built, and what is no more."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT INSERT, DELETE ON TABLE {} TO ROLE {}", FRAGMENT, to), "The same for the parts of policies."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT INSERT, DELETE ON TABLE {} TO ROLE {}", OBSTACLE, to), "And for what cannot be governed."
    )
    yield SnowflakeInstallStatement(compose("GRANT INSERT, DELETE ON TABLE {} TO ROLE {}", TOOL, to), "And for tools.")
    yield SnowflakeInstallStatement(
        compose("GRANT APPLY ROW ACCESS POLICY ON ACCOUNT TO ROLE {}", to), "It sets the policy of each governed table."
    )
    yield SnowflakeInstallStatement(compose("GRANT APPLY MASKING POLICY ON ACCOUNT TO ROLE {}", to), "And those of their columns.")
    yield SnowflakeInstallStatement(
        compose("GRANT USAGE ON DATABASE {} TO ROLE {}", identifier(account.database), to),
        "It finds the governed schemas, and their tables.",
    )
    for schema in sorted(options.schemas):
        place = qualified(account.database, schema)
        yield SnowflakeInstallStatement(compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", place, to), f"Policies are written for {schema}.")
        yield SnowflakeInstallStatement(
            compose("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO ROLE {}", place, to), "A view reads with its owner's rights."
        )
        yield SnowflakeInstallStatement(
            compose("GRANT SELECT ON FUTURE TABLES IN SCHEMA {} TO ROLE {}", place, to), "The same for tables to come."
        )


def _usage(to: Sql) -> Iterator[SnowflakeInstallStatement]:
    yield SnowflakeInstallStatement(compose("GRANT USAGE ON DATABASE {} TO ROLE {}", DATABASE, to), "The way to our own tables.")
    yield SnowflakeInstallStatement(compose("GRANT USAGE ON SCHEMA {} TO ROLE {}", CONTROL, to), "The same.")


def _reaper() -> Iterator[SnowflakeInstallStatement]:
    yield SnowflakeInstallStatement(
        compose("GRANT ROLE {} TO ROLE {}", VENDOR, REAPER_ROLE), "It drops what the vendor made. Nobody logs in with it."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT SELECT, INSERT, DELETE ON TABLE {} TO ROLE {}", LEASE, REAPER_ROLE),
        "It writes ends down, and forgets them a week later.",
    )
    yield SnowflakeInstallStatement(
        compose("GRANT EXECUTE TASK, EXECUTE MANAGED TASK ON ACCOUNT TO ROLE {}", REAPER_ROLE), "Its task runs on Snowflake's own machines."
    )
    yield SnowflakeInstallStatement(reap(), "Ends each role whose mark says that its time is over. A person can call it, too.")
    yield SnowflakeInstallStatement(
        compose("GRANT USAGE ON PROCEDURE {} TO ROLE {}", REAP, REAPER_ROLE), "It acts with the rights of who calls it."
    )
    yield SnowflakeInstallStatement(
        compose(
            "CREATE TASK IF NOT EXISTS {} SCHEDULE = '5 MINUTES' SUSPEND_TASK_AFTER_NUM_FAILURES = 0 "
            "SERVERLESS_TASK_MAX_STATEMENT_SIZE = 'XSMALL'\nAS CALL {}",
            REAPER,
            REAP,
        ),
        "The promise that a role ends in time holds without the operator. An expired lease shows no rows even before.",
    )
    yield SnowflakeInstallStatement(
        compose("GRANT OWNERSHIP ON TASK {} TO ROLE {} COPY CURRENT GRANTS", REAPER, REAPER_ROLE), "It runs with this role."
    )
    yield SnowflakeInstallStatement(
        compose("GRANT OPERATE ON TASK {} TO ROLE ACCOUNTADMIN", REAPER),
        "An administrator may stop and start it, as on the next line.",
    )
    yield SnowflakeInstallStatement(compose("ALTER TASK {} RESUME", REAPER), "A task is made suspended.")


def _users(account: Account, keys: PublicKeys) -> Iterator[SnowflakeInstallStatement]:
    for user, role, key in ((VENDOR_USER, VENDOR, keys.vendor), (PROGRAMMER_USER, PROGRAMMER, keys.programmer)):
        login = name(user)
        yield SnowflakeInstallStatement(
            compose(
                "CREATE USER IF NOT EXISTS {} TYPE = SERVICE DEFAULT_ROLE = {} DEFAULT_SECONDARY_ROLES = () DEFAULT_WAREHOUSE = {}",
                login,
                role,
                identifier(account.warehouse),
            ),
            "A login of the operator. A user of type SERVICE can have no password.",
        )
        yield SnowflakeInstallStatement(
            compose("ALTER USER {} SET RSA_PUBLIC_KEY = {}", login, literal(key)), "It logs in by this key alone."
        )
        yield SnowflakeInstallStatement(compose("GRANT ROLE {} TO USER {}", role, login), "Its only role.")


def _end() -> Iterator[SnowflakeInstallStatement]:
    yield SnowflakeInstallStatement(
        compose("ALTER DATABASE {} SET COMMENT = {}", DATABASE, literal(installed_comment())),
        "Last: by it an operator knows that the account is prepared, and for which version. It needs no warehouse to read it.",
    )


def installed_comment() -> str:
    return f"rolevend {VERSION}: leases, profiles and policies"


def installed_version(comment: str | None) -> int | None:
    """Return the version in the database's comment; None if no installation completed."""
    found = re.match(r"rolevend (\d+):", comment or "")
    return int(found[1]) if found else None
