"""The command line: parses, calls `app`, reports. Each command imports what it needs when it runs, so that `--help` answers at once."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rolevend import __version__

if TYPE_CHECKING:
    from rolevend.platforms.postgres import InstallPlan

_NOTHING_TO_DO, _FAILED = 0, 1


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="rolevend")
def cli() -> None:
    """Vends short-lived, least-privilege database roles to AI agents that act on behalf of a person.

    \b
    Shell completion:  eval "$(_ROLEVEND_COMPLETE=bash_source rolevend)"    (or zsh_source, fish_source)
    """


def main() -> None:
    """The entry point: an error that a person can mend is one line, without a traceback."""
    from rolevend.errors import RolevendError

    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RolevendError as error:
        click.echo(f"rolevend: {error}", err=True)
        sys.exit(_FAILED)
    except ModuleNotFoundError as error:
        extra = {"kopf": "operator", "kubernetes": "operator", "psycopg": "postgres", "rich": "demo"}.get((error.name or "").split(".")[0])
        if extra is None:
            raise
        click.echo(f"rolevend: this command needs more packages: pip install 'rolevend[{extra}]'", err=True)
        sys.exit(_FAILED)


@cli.command()
@click.option(
    "--kubeconfig", type=click.Path(exists=True, dir_okay=False), envvar="ROLEVEND_KUBECONFIG", help="Instead of the pod's ServiceAccount."
)
@click.option(
    "--namespace", envvar="ROLEVEND_NAMESPACE", default="rolevend-system", show_default=True, help="Where the platforms' Secrets are."
)
def operator(kubeconfig: str | None, namespace: str) -> None:
    """Run the operator until it is told to stop.

    Everything else is set by environment variables ROLEVEND_...; the chart's values name them.
    """
    import asyncio
    import contextlib

    from rolevend.app.operator import run
    from rolevend.settings import Settings
    from rolevend.telemetry.logs import configure

    settings = Settings.from_environment().model_copy(update={"kubeconfig": kubeconfig, "namespace": namespace})
    configure(settings.log_level)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(run(settings))


@cli.command()
@click.option("--dev", is_flag=True, help="Leave everything up until Ctrl-C, and print what to try.")
@click.option(
    "--break",
    "broken",
    type=click.Choice(["row-security", "mask", "expiry"]),
    help="Break one thing behind rolevend's back: a check must fail.",
)
@click.option("--claims", type=click.IntRange(1000), default=100_000, show_default=True, help="How many claims to load.")
def demo(*, dev: bool, broken: str | None, claims: int) -> None:
    """Show the main job on a real control plane and a real PostgreSQL, started here and ended again.

    An agent gets a role for each of two people, asks both the same question, tries to get out, and loses the roles: by time, by
    release, by a change of policy. Every line is checked against the database before it is printed. The exit status is 1 if a
    check fails.

    Takes about 20 seconds. The first run also builds the Kubernetes programs, about five minutes; they stay in ~/.cache/rolevend.
    """
    from rolevend.demo.story import run

    sys.exit(run(dev=dev, broken=broken, claims=claims))


@cli.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write a file per kind there, instead of printing."
)
def crds(folder: Path | None) -> None:
    """Print the CustomResourceDefinitions: rolevend crds | kubectl apply --server-side -f -"""
    from rolevend.resources.crd import documents

    for name, text in documents().items():
        if folder is None:
            click.echo(f"---\n{text}", nl=False)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


@cli.command()
@click.argument("role_name")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), envvar="KUBECONFIG", help="Default: ~/.kube/config.")
@click.option(
    "--namespace", envvar="ROLEVEND_NAMESPACE", default="rolevend-system", show_default=True, help="Where the records of handles are."
)
@click.option(
    "--audit",
    "audit_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Look into this file of audit events, too. May be given again; - is standard input.",
)
@click.option(
    "--dsn", envvar="ROLEVEND_ADMIN_DSN", help="Ask the platform's database for the lease, as somebody who may read rolevend.lease."
)
@click.option("--offline", is_flag=True, help="Do not ask the cluster.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def who(
    role_name: str, kubeconfig: str | None, namespace: str, audit_files: tuple[str, ...], dsn: str | None, output: str, *, offline: bool
) -> None:
    """Say which agent acted for whom in ROLE_NAME, also years after the role is gone."""
    import asyncio
    import json

    from rolevend.app.who import Sources, describe

    config = None if offline else kubeconfig or str(Path("~/.kube/config").expanduser())
    found = asyncio.run(describe(role_name, Sources(config, namespace, audit_files, dsn)))
    if output == "json":
        click.echo(json.dumps({**found.text, "sources": found.sources}, indent=2))
    else:
        for key, value in found.text.items():
            click.echo(f"{key:<10} {value}  [{found.sources[key]}]")
    for note in found.notes:
        click.echo(f"note: {note}", err=True)


@cli.command()
@click.argument("role_name")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE...")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: one object per line.")
def trace(role_name: str, files: tuple[str, ...], output: str) -> None:
    """Print every statement that ROLE_NAME ran, from PostgreSQL's own log.

    FILE is a csvlog or jsonlog, also compressed by gzip; older files first, - is standard input. Statements come in the order in
    which they ended.
    """
    import json
    from dataclasses import asdict

    from rolevend.app.trace import Trace, shown

    statements = Trace(role_name, files)
    for statement in statements:
        click.echo(json.dumps(asdict(statement)) if output == "json" else shown(statement))
    for note in statements.notes:
        click.echo(f"note: {note}", err=True)


@cli.command()
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False),
    envvar="KUBECONFIG",
    help="Default: the pod's ServiceAccount, else ~/.kube/config.",
)
@click.option("--namespace", envvar="ROLEVEND_NAMESPACE", default="rolevend-system", show_default=True, help="The operator's namespace.")
@click.option("--policy", default="rolevend-closed", show_default=True, help="The chart's ValidatingAdmissionPolicy that closes vending.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=240, show_default=True, help="Seconds to wait at most.")
@click.option("--platforms", is_flag=True, help="Delete the DataPlatforms, too, after the last role.")
def drain(kubeconfig: str | None, namespace: str, policy: str, timeout: float, *, platforms: bool) -> None:
    """Refuse new requests, end all live roles, and wait until the operator has dropped them.

    The chart runs it before it is uninstalled. Vending stays closed until the ConfigMap with the policy's name is deleted. The exit
    status is 1 if something is left, and standard output says what.
    """
    import asyncio

    from rolevend.app.drain import drain as run

    def tell(text: str) -> None:
        click.echo(text, err=True)

    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        kubeconfig = str(Path("~/.kube/config").expanduser())
    left = asyncio.run(run(kubeconfig, namespace, policy, timeout, platforms=platforms, tell=tell))
    for each in left:
        click.echo(f"left: {each.kind} {each.name}: {each.message}")
    if left:
        tell(f"vending stays closed; to open it again: kubectl delete configmap {policy} --namespace {namespace}")
        sys.exit(_FAILED)


@cli.group()
def audit() -> None:
    """Work with files of audit events."""


@audit.command("verify")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE...")
@click.option("--expect", default="", metavar="HASH", help="An event with this hash must be there: the last one of an earlier look.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def audit_verify(files: tuple[str, ...], expect: str, output: str) -> None:
    """Say whether every audit event is there as it was written: older files first, - is standard input.

    A line that was altered, removed, moved or cut off is named, and the exit status is 1.
    """
    import json
    from dataclasses import asdict

    from rolevend.app.audit import verify

    found = verify(files, expect)
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        for problem in found.problems:
            click.echo(f"PROBLEM {problem}")
        for note in found.notes:
            click.echo(f"note: {note}")
        outcome = f"{len(found.problems)} problems" if found.problems else "all of them as they were written"
        click.echo(f"{found.events} events, {outcome}; the last one has the hash {found.head or '(none)'}")
    if found.problems:
        sys.exit(_FAILED)


@cli.group()
def platform() -> None:
    """Prepare a database for vended roles: see what would change, then do exactly that."""


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


@platform.command("plan")
@_MANIFEST
@_DSN
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def platform_plan(manifest: Path, dsn: str, output: str) -> None:
    """Print every statement that would run, what it changes and for whom. Changes nothing."""
    import json

    from rolevend.app.platform import plan

    planned = plan(manifest, dsn)
    click.echo(json.dumps(planned.as_json(), indent=2) if output == "json" else planned.text())
    _next_step(planned, manifest)


@platform.command("install")
@_MANIFEST
@_DSN
@click.option("--accept", required=True, metavar="DIGEST", help="The digest that `plan` printed.")
@click.option(
    "--secrets",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    show_default=True,
    help="Where the two Secrets go, for kubectl apply.",
)
@click.option("--namespace", envvar="ROLEVEND_NAMESPACE", default="rolevend-system", show_default=True, help="The operator's namespace.")
def platform_install(manifest: Path, dsn: str, accept: str, secrets: str, namespace: str) -> None:
    """Run exactly the plan with this digest, and print the operator's two logins as Secrets."""
    from rolevend.app.platform import install

    text = install(manifest, dsn, accept, namespace)
    if secrets == "-":
        click.echo(text, nl=False)
        return
    target = Path(secrets)
    target.touch(mode=0o600)
    target.write_text(text)
    click.echo(f"installed; next: kubectl apply -f {secrets} && rm {secrets}", err=True)


@platform.command("attest")
@click.argument("name")
@click.option("--kubeconfig", type=click.Path(exists=True, dir_okay=False), envvar="KUBECONFIG", help="Default: ~/.kube/config.")
@click.option("--timeout", type=click.FloatRange(min=1), default=120, show_default=True, help="Seconds to wait for the operator.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text")
def platform_attest(name: str, kubeconfig: str | None, timeout: float, output: str) -> None:
    """Have the operator try every promise and every attack on DataPlatform NAME with canary roles, and say what it found.

    The exit status is 1 if a check failed.
    """
    import asyncio
    import json
    import secrets

    from rolevend.app.attest import as_json, as_text, attest

    def tell(why: str) -> None:
        click.echo(f"waiting: {why}", err=True)

    file = kubeconfig or str(Path("~/.kube/config").expanduser())
    found = asyncio.run(attest(name, file, secrets.token_hex(8), timeout, tell))
    click.echo(json.dumps(as_json(found), indent=2) if output == "json" else as_text(name, found))
    if found.failed:
        sys.exit(_FAILED)


def _next_step(planned: "InstallPlan", manifest: Path) -> None:
    click.echo(f"\nrolevend platform install -f {manifest} --accept {planned.digest} --secrets secrets.yaml", err=True)
