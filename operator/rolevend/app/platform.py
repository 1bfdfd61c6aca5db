"""`rolevend platform plan|install|uninstall|catalog` for PostgreSQL, from a DataPlatform manifest and an administrator's connection."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from rolevend.app.manifest import login_secrets, read_manifest
from rolevend.errors import InvalidInput, PlatformUnavailable
from rolevend.kinds import DataPlatform, values
from rolevend.kinds.catalog_file import catalog_text
from rolevend.model import PlatformName
from rolevend.platforms.postgres import InstallPlan, Passwords, PostgresInstallOptions, Reach
from rolevend.platforms.postgres import install as run_plan
from rolevend.platforms.postgres import plan as make_plan
from rolevend.platforms.postgres import plan_uninstall as make_uninstall_plan
from rolevend.platforms.postgres import uninstall as run_uninstall_plan
from rolevend.platforms.postgres.catalog import seen_by
from rolevend.platforms.postgres.connections import Connection, connect_person
from rolevend.platforms.postgres.install.installer import set_hash_key
from rolevend.platforms.postgres.install.survey import OBSERVER
from rolevend.platforms.protocol import Secret
from rolevend.platforms.uninstallation import UninstallPlan

_PASSWORD_BYTES = 32


def plan(manifest: Path, dsn: str, reach: str | None = None) -> InstallPlan:
    """Return the steps that `install` would run now. Changes nothing."""
    platform = read_manifest(manifest)
    with _administrator(platform, dsn) as connection:
        return make_plan(connection, _options(platform, reach))


def plan_uninstall(manifest: Path, dsn: str) -> UninstallPlan:
    """Return the steps that `uninstall` would run now. Changes nothing."""
    platform = read_manifest(manifest)
    with _administrator(platform, dsn) as connection:
        return make_uninstall_plan(connection, _options(platform))


def uninstall(manifest: Path, dsn: str, accept: str) -> UninstallPlan:
    """Run the plan of `plan_uninstall` with the digest `accept`, and return it."""
    platform = read_manifest(manifest)
    with _administrator(platform, dsn) as connection:
        return run_uninstall_plan(connection, _options(platform), accept=accept)


def install(manifest: Path, dsn: str, accept: str, namespace: str, reach: str | None = None) -> str:
    """Run the plan with the digest `accept`. Returns the Secrets that the manifest refers to, as YAML for `namespace`."""
    platform = read_manifest(manifest)
    options = _options(platform, reach)
    vendor, programmer, observer = _password(), _password(), _password()
    passwords = Passwords(vendor=vendor, programmer=programmer, observer=observer if options.observer else None)
    with _administrator(platform, dsn) as connection:
        run_plan(connection, options, accept=accept, passwords=passwords, randomness=secrets.token_bytes)

    return login_secrets(
        platform,
        namespace,
        programmer={"username": options.programmer, "password": programmer.reveal()},
        vendor={"username": options.vendor, "password": vendor.reveal()},
        observer={"username": OBSERVER, "password": observer.reveal()},
    )


def catalog(manifest: Path, dsn: str, *, as_json: bool) -> tuple[str, int]:
    """Return the catalog that the operator sees, as text, and its number of tables. Changes nothing."""
    platform = read_manifest(manifest)
    options = _options(platform)
    with _administrator(platform, dsn) as connection:
        found = seen_by(connection, options.programmer, values.governed(platform), values.own_schemas(platform), options.functions)
    return catalog_text(PlatformName(platform.name), found, "json" if as_json else "yaml"), len(found.tables)


def share_hash_key(manifest: Path, dsn: str, domain: str, key: Path) -> str | None:
    """Let the database use the hash key in this file, as all databases of the domain do. Returns the domain that it had, or None."""
    platform = read_manifest(manifest)
    try:
        secret = Secret(key.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(str(key), "cannot be read as text in ASCII") from error
    with _administrator(platform, dsn) as connection:
        return set_hash_key(connection, domain, secret)


def _options(platform: DataPlatform, reach: str | None = None) -> PostgresInstallOptions:
    schemas = values.governed(platform)
    if not schemas:
        raise InvalidInput(
            "spec.domains", "names no schema, so there is nothing to govern: give a namespace the schemas that it writes policy for"
        )
    tools = values.own_schemas(platform), values.function_schemas(platform)
    return PostgresInstallOptions(
        tuple(sorted(schemas | tools[0])),
        functions=tuple(sorted(tools[1])),
        reach=None if reach is None else Reach(reach),
        observer=None if platform.spec.credentials.observer_secret_ref is None else OBSERVER,
    )


@contextmanager
def _administrator(platform: DataPlatform, dsn: str) -> Iterator[Connection]:
    """Connect to the database that the manifest names, with host and user from the DSN."""
    database = values.address(platform).database
    try:
        connection = connect_person(dsn, database)
    except psycopg.Error as error:
        raise PlatformUnavailable(f"connecting to database {database} as an administrator: {' '.join(str(error).split())}") from error
    with connection:
        yield connection


def _password() -> Secret:
    return Secret(secrets.token_urlsafe(_PASSWORD_BYTES))
