"""What works with a cluster: the operator, the CRDs, and the end before an uninstall."""

import os
import sys
from pathlib import Path

import click

from rolevend.cli import options
from rolevend.cli.extras import needs


@click.command()
@options.kubeconfig("Instead of the pod's ServiceAccount.", "ROLEVEND_KUBECONFIG")
@options.namespace("Where the platforms' Secrets are.")
@needs("operator,postgres")
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


@click.command()
@options.kubeconfig("Instead of the pod's ServiceAccount.", "ROLEVEND_KUBECONFIG")
@options.namespace("Where the platforms' Secrets are.")
@needs("api,operator,postgres")
def api(kubeconfig: str | None, namespace: str) -> None:
    """Take agents' calls over HTTP until told to stop.

    Vends with the vendor's credential alone; the operator must run, too. Everything else is set by environment variables ROLEVEND_...; the
    chart's values name them.
    """
    import asyncio
    import contextlib

    from rolevend.app.api import run
    from rolevend.settings import ApiSettings
    from rolevend.telemetry.logs import configure

    settings = ApiSettings.from_environment().model_copy(update={"kubeconfig": kubeconfig, "namespace": namespace})
    configure(settings.log_level)
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(run(settings))


@click.command()
@click.option(
    "--write", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write a file per kind there, instead of printing."
)
def crds(folder: Path | None) -> None:
    """Print the CustomResourceDefinitions: rolevend crds | kubectl apply --server-side -f -"""
    from rolevend.kinds.crd import documents

    for name, text in documents().items():
        if folder is None:
            click.echo(f"---\n{text}", nl=False)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)


@click.command()
@options.kubeconfig("Default: the pod's ServiceAccount, else ~/.kube/config.")
@options.namespace()
@click.option("--policy", default="rolevend-closed", show_default=True, help="The chart's ValidatingAdmissionPolicy that closes vending.")
@click.option("--api", help="The API's Deployment in that namespace: it is stopped first, and runs again where something is left.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=240, show_default=True, help="Seconds to wait at most.")
@click.option("--platforms", is_flag=True, help="Delete the DataPlatforms, too, after the last role.")
def drain(kubeconfig: str | None, namespace: str, policy: str, api: str | None, timeout: float, *, platforms: bool) -> None:
    """Refuse new requests, end all live roles, and wait until the operator has dropped them.

    The chart runs it before it is uninstalled. Vending stays closed until the policy's binding is deleted. The exit status is 1 if
    something is left, and standard output says what.
    """
    import asyncio

    from rolevend.app.drain import drain as run

    def tell(text: str) -> None:
        click.echo(text, err=True)

    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        kubeconfig = options.own(None)
    left = asyncio.run(run(kubeconfig, namespace, policy, timeout, api=api, platforms=platforms, tell=tell))
    for each in left:
        click.echo(f"left: {each.kind} {each.name}: {each.message}")
    if left:
        tell(f"vending stays closed; to open it again: kubectl delete validatingadmissionpolicybinding {policy}")
        sys.exit(options.FAILED)
