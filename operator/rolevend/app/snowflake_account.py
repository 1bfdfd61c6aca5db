"""`rolevend platform plan|install|uninstall|catalog` for Snowflake.

`plan` and `install` create the script that prepares an account, and the Secrets of two new logins. `uninstall` reads the account first.
"""

from dataclasses import dataclass

from rolevend.app.manifest import login_secrets
from rolevend.errors import Conflict, InvalidInput
from rolevend.kinds import DataPlatform, values
from rolevend.kinds.catalog_file import catalog_text
from rolevend.kinds.data_platform import Snowflake
from rolevend.model import PlatformName
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.catalog import seen_by_administrator
from rolevend.platforms.snowflake.connections import administrator, administrators_session
from rolevend.platforms.snowflake.facts import require_no_newer
from rolevend.platforms.snowflake.install import installer, uninstaller
from rolevend.platforms.snowflake.install.installation import PublicKeys, SnowflakeInstallOptions
from rolevend.platforms.snowflake.vend.keys import new_login_key, public_key
from rolevend.platforms.uninstallation import UninstallPlan


@dataclass(frozen=True, slots=True)
class Installation:
    """The script to run, and the logins that it creates."""

    script: str
    secrets: str
    """YAML, for the operator's namespace."""


def plan(platform: DataPlatform) -> tuple[str, str]:
    """Return the script and its digest. Deterministic, and without a connection to the account."""
    account, options = _account(platform), _options(platform)
    return installer.script(account, options).text(), installer.digest(account, options)


def prepare(platform: DataPlatform, accept: str, namespace: str) -> Installation:
    """Create new keys. Raises Conflict if `accept` is not the digest of this script."""
    account, options = _account(platform), _options(platform)
    digest = installer.digest(account, options)
    if digest != accept:
        raise Conflict(
            f"cannot install under digest {accept[:12]}…: the script is now {digest[:12]}…, because the manifest or rolevend changed; "
            "read the new plan and accept its digest"
        )
    vendor, programmer = new_login_key(), new_login_key()
    keys = PublicKeys(public_key(vendor), public_key(programmer))
    secrets = login_secrets(
        platform,
        namespace,
        programmer={"username": installer.PROGRAMMER_USER, "private_key": programmer.reveal()},
        vendor={"username": installer.VENDOR_USER, "private_key": vendor.reveal()},
    )
    return Installation(installer.script(account, options, keys).text(), secrets)


def apply(prepared: Installation, connection: str) -> None:
    """Run the script through an administrator's connection in `connections.toml`. Idempotent.

    Raises Conflict if a newer version is installed.
    """
    with administrators_session(connection) as session:
        require_no_newer(session)
    with administrator(connection) as run:
        run(prepared.script)


def plan_uninstall(platform: DataPlatform, connection: str) -> UninstallPlan:
    """Return the steps that `uninstall` would run now, by an administrator's connection. Changes nothing."""
    with administrators_session(connection) as session:
        return uninstaller.plan_uninstall(session, values.objects(platform))


def uninstall(platform: DataPlatform, connection: str, accept: str) -> UninstallPlan:
    """Run the plan of `plan_uninstall` with the digest `accept`, and return it."""
    with administrators_session(connection) as session:
        return uninstaller.uninstall(session, values.objects(platform), accept=accept)


def catalog(platform: DataPlatform, connection: str, *, as_json: bool) -> tuple[str, int]:
    """Return the catalog that the operator sees, as text, and its number of tables. Reads through an administrator's connection."""
    account, options = _account(platform), _options(platform)
    with administrators_session(connection) as session:
        found = seen_by_administrator(session, account.database, options.schemas, options.tools)
    return catalog_text(PlatformName(platform.name), found, "json" if as_json else "yaml"), len(found.tables)


def _account(platform: DataPlatform) -> Account:
    return values.account(_snowflake(platform))


def _snowflake(platform: DataPlatform) -> Snowflake:
    if platform.spec.snowflake is None:
        raise InvalidInput("spec.snowflake", "must be set for what is asked")
    return platform.spec.snowflake


def _options(platform: DataPlatform) -> SnowflakeInstallOptions:
    schemas = values.governed(platform)
    if not schemas:
        raise InvalidInput(
            "spec.domains", "names no schema, so there is nothing to govern: give a namespace the schemas that it writes policy for"
        )
    return SnowflakeInstallOptions(tuple(sorted(schemas)), tuple(sorted(values.objects(platform))))
