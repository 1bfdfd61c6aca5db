"""Commands for a database: plan, install and uninstall rolevend in it, read its catalog, and attest it."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from rolevend.cli import completion, options, printer

if TYPE_CHECKING:
    from rolevend.kinds import DataPlatform


@click.group()
def platform() -> None:
    """Prepare a database for vended roles, read its catalog, and attest it."""


_MANIFEST = click.option(
    "-f",
    "--filename",
    "manifest",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The DataPlatform manifest.",
)
_DSN = click.option(
    "--dsn", required=True, envvar="ROLEVEND_ADMIN_DSN", help="How an administrator connects: postgresql://… or key=value pairs."
)
_DSN_OF_POSTGRES = click.option(
    "--dsn", envvar="ROLEVEND_ADMIN_DSN", help="How an administrator connects to PostgreSQL: postgresql://… or key=value pairs."
)


_NO_CONNECTION = "Missing option '--connection': how an administrator connects to Snowflake."


_REACH = click.option(
    "--reach",
    type=click.Choice(["server", "database"]),
    help="PostgreSQL: `server` revokes CONNECT on every database from PUBLIC; with `database` PUBLIC keeps it, and vended roles can log in "
    "to other databases unless pg_hba.conf rejects them. Default: what is installed, otherwise server.",
)


@platform.command("plan")
@_MANIFEST
@_DSN_OF_POSTGRES
@_REACH
@click.option("--summary", is_flag=True, help="PostgreSQL: print on one screen who loses what, why, and how to give it back.")
@options.OUTPUT
def platform_plan(manifest: Path, dsn: str | None, reach: str | None, *, summary: bool, output: str) -> None:
    """Print every statement that `install` would run, with its reason and its effect. Change nothing.

    For Snowflake print a script for an administrator, without a connection.
    """
    from rolevend.app.manifest import read_manifest

    found = read_manifest(manifest)
    if found.spec.snowflake is not None:
        if summary or reach is not None:
            raise click.UsageError("--summary and --reach are for PostgreSQL")
        from rolevend.app import snowflake_account

        script, digest = snowflake_account.plan(found)
        printer.show(output, lambda: {"digest": digest, "script": script}, text=lambda: f"{script}\n-- digest: {digest}")
        _next_step(digest, manifest)
        return
    from rolevend.app.platform import plan

    planned = plan(manifest, _required(dsn), reach)
    printer.show(output, planned.as_json, text=planned.summary if summary else planned.text)
    _next_step(planned.digest, manifest, reach)


@platform.command("uninstall")
@_MANIFEST
@_DSN_OF_POSTGRES
@click.option("--connection", metavar="NAME", help="How an administrator connects to Snowflake: a connection of your connections.toml.")
@click.option(
    "--accept",
    metavar="DIGEST",
    callback=options.digest,
    help="Run the plan with this whole digest. Without it: print the plan, and change nothing.",
)
@options.OUTPUT
def platform_uninstall(manifest: Path, dsn: str | None, connection: str | None, accept: str | None, output: str) -> None:
    """Remove rolevend from a database or an account: its roles, profiles, policies and tables. Give back what the installation revoked.

    Refused while a vended role lives. On PostgreSQL it is one transaction, and also refused while the operator is logged in.
    """
    from rolevend.app.manifest import read_manifest

    found = read_manifest(manifest)
    if found.spec.snowflake is not None:
        from rolevend.app import snowflake_account

        if connection is None:
            raise click.UsageError(_NO_CONNECTION)
        plan, run = partial(snowflake_account.plan_uninstall, found, connection), partial(snowflake_account.uninstall, found, connection)
    else:
        from rolevend.app.platform import plan_uninstall, uninstall

        where = _required(dsn)
        plan, run = partial(plan_uninstall, manifest, where), partial(uninstall, manifest, where)
    if accept is not None:
        done = run(accept)
        click.echo(f"uninstalled from database {done.database}" if done.statements else "rolevend is not installed here: nothing to do")
        return
    planned = plan()
    printer.show(output, planned.as_json, text=planned.text)
    if planned.statements:
        chosen = f" --connection {quote(connection)}" if connection is not None else ""
        click.echo(f"\nrolevend platform uninstall -f {quote(str(manifest))}{chosen} --accept {planned.digest}", err=True)


@platform.command("install")
@_MANIFEST
@_DSN_OF_POSTGRES
@click.option("--accept", required=True, metavar="DIGEST", callback=options.digest, help="The whole digest that `plan` printed.")
@click.option(
    "--secrets",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    show_default=True,
    help="The file for the Secrets, for kubectl apply.",
)
@click.option(
    "--connection",
    metavar="NAME",
    help="For Snowflake: run the script with this connection of your connections.toml. Default: print the script, with the keys.",
)
@_REACH
@options.namespace()
def platform_install(
    manifest: Path, dsn: str | None, accept: str, secrets: str, connection: str | None, reach: str | None, namespace: str
) -> None:
    """Run the plan with this digest, and write the logins as Secrets."""
    from rolevend.app.manifest import read_manifest

    found = read_manifest(manifest)
    if found.spec.snowflake is not None:
        _install_snowflake(found, accept, secrets, connection, namespace)
        return
    from rolevend.app.platform import install

    where = _required(dsn)
    if secrets == "-":
        click.echo(install(manifest, where, accept, namespace, reach), nl=False)
        _next_apply("installed", found, secrets, namespace)
        return
    with _private(secrets) as keep:
        keep(install(manifest, where, accept, namespace, reach))
    _next_apply("installed", found, secrets, namespace)


def _install_snowflake(found: "DataPlatform", accept: str, secrets: str, connection: str | None, namespace: str) -> None:
    """Write the Secrets before the script runs: their keys cannot be created again."""
    from rolevend.app import snowflake_account

    if secrets == "-":
        raise click.UsageError("name a file for the two Secrets with --secrets: the script goes to standard output")
    with _private(secrets) as keep:
        prepared = snowflake_account.prepare(found, accept, namespace)
        keep(prepared.secrets)
    if connection is None:
        click.echo(prepared.script)
        _next_apply("run this script in the account", found, secrets, namespace)
        return
    snowflake_account.apply(prepared, connection)
    _next_apply("installed", found, secrets, namespace)


def _required(dsn: str | None) -> str:
    if not dsn:
        raise click.UsageError("Missing option '--dsn': how an administrator connects to PostgreSQL.")
    return dsn


@platform.command("catalog")
@_MANIFEST
@_DSN_OF_POSTGRES
@click.option("--connection", metavar="NAME", help="How an administrator connects to Snowflake: a connection of your connections.toml.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default="-",
    show_default=True,
    metavar="FILE",
    help="The file to write: JSON if its name ends in .json, otherwise YAML.",
)
def platform_catalog(manifest: Path, dsn: str | None, connection: str | None, output: Path) -> None:
    """Write the catalog of the database: its tables, columns, types and tags, and the tools that agents can get. It reads no row.

    The commands of `rolevend policy` take this file. Equal databases give equal files, so you can keep it in git.
    """
    from rolevend.app.manifest import read_manifest

    found, as_json = read_manifest(manifest), output.suffix == ".json"
    if found.spec.snowflake is not None:
        from rolevend.app import snowflake_account

        if not connection:
            raise click.UsageError(_NO_CONNECTION)
        text, tables = snowflake_account.catalog(found, connection, as_json=as_json)
    else:
        from rolevend.app.platform import catalog

        text, tables = catalog(manifest, _required(dsn), as_json=as_json)
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    click.echo(f"{tables} tables in {output}", err=True)


@platform.command("hash-key")
@_MANIFEST
@_DSN
@click.option("--domain", required=True, help="The name of the key. Databases of one domain hash equal values to equal hashes.")
@click.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the key, at least 32 characters, the same for every database of the domain.",
)
def platform_hash_key(manifest: Path, dsn: str, domain: str, key: Path) -> None:
    """Set the key of the mask Hash to the key of a domain, so that hashed columns of several databases can be joined.

    All hashes change at once, also for live roles.
    """
    from rolevend.app.platform import share_hash_key

    before = share_hash_key(manifest, dsn, domain, key)
    click.echo(f"hashes are those of domain {domain} now, and were {f'those of {before}' if before else 'its own'} before")


@platform.command("attest")
@click.argument("name", required=False, shell_complete=completion.PLATFORMS)
@click.option(
    "-f",
    "--filename",
    "manifest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Attest from this machine, without a cluster: the DataPlatform manifest.",
)
@click.option(
    "--secrets",
    "secrets_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --filename: the file with the Secrets that `install` wrote.",
)
@options.kubeconfig()
@click.option("--timeout", type=click.FloatRange(min=1), default=120, show_default=True, help="Seconds to wait for the operator.")
@options.OUTPUT
def platform_attest(
    name: str | None, manifest: Path | None, secrets_file: Path | None, kubeconfig: str | None, timeout: float, output: str
) -> None:
    """Let the operator attest DataPlatform NAME: try every promise and every attack with canary roles. Print the result of each check.

    The exit status is 1 if a check failed.
    """
    import asyncio
    import secrets
    from datetime import UTC, datetime

    if (name is None) == (manifest is None) or (manifest is None) != (secrets_file is None):
        raise click.UsageError("name a DataPlatform for the operator to attest, or give --filename and --secrets to attest it here")
    from rolevend.app.attest import as_json, as_text, attest, attest_directly

    def report(reason: str) -> None:
        click.echo(f"waiting: {reason}", err=True)

    if manifest is not None and secrets_file is not None:
        found = attest_directly(manifest, secrets_file, lambda: datetime.now(UTC))
    else:
        found = asyncio.run(attest(name or "", options.own(kubeconfig), secrets.token_hex(8), timeout, report))
    printer.show(output, lambda: as_json(found), text=lambda: as_text(found))
    printer.exit_if(found.attestation.failed)


@contextmanager
def _private(path: str) -> Iterator[Callable[[str], None]]:
    """Open a file that only its owner can read, before the text for it exists: no login is created that cannot be stored.

    The old content stays until the text is written. If the write fails, the text goes to standard output: it cannot be created again."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if is_file:  # not a pipe or a terminal
            os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint="--secrets") from error

    def keep(text: str) -> None:
        try:
            if is_file:
                os.ftruncate(descriptor, 0)
            with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as file:
                file.write(text)
        except OSError as error:
            click.echo(text, nl=False)
            raise click.ClickException(f"{path} cannot be written: {error.strerror}; what was to be there is on standard output") from error

    try:
        yield keep
    finally:
        os.close(descriptor)


def _next_step(digest: str, manifest: Path, reach: str | None = None) -> None:
    chosen = f" --reach {reach}" if reach is not None else ""
    click.echo(f"\nrolevend platform install -f {quote(str(manifest))}{chosen} --accept {digest} --secrets secrets.yaml", err=True)


def _next_apply(done: str, found: "DataPlatform", secrets: str, namespace: str) -> None:
    from rolevend.app.manifest import api_commands, api_secrets, console_secrets

    if secrets != "-":
        click.echo(f"{done}; next: kubectl apply -f {quote(secrets)} && rm {quote(secrets)}", err=True)
    listed = " and ".join(map(quote, api_secrets(found)))
    lines = (f"for the HTTP API, unless api.secretNames of the chart has {listed}:", *api_commands(found, namespace))
    click.echo("\n  ".join(lines), err=True)
    if read := console_secrets(found):
        click.echo(f"for the console, add to console.secretNames of the chart: {' and '.join(map(quote, read))}", err=True)
