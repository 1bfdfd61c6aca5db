"""Commands for a cluster: run the operator and the API, print the CRDs, and drain before an uninstall."""

import os
from pathlib import Path

import click

from rolevend.cli import options, printer
from rolevend.cli.options import needs


@click.command()
@options.kubeconfig("Default: the pod's ServiceAccount.", "ROLEVEND_KUBECONFIG")
@options.namespace("The namespace of the platforms' Secrets.")
@needs("operator,postgres")
def operator(kubeconfig: str | None, namespace: str) -> None:
    """Run the operator until it gets a signal to stop.

    Environment variables ROLEVEND_... hold all other settings; docs/reference/settings.md lists them.
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
@options.kubeconfig("Default: the pod's ServiceAccount.", "ROLEVEND_KUBECONFIG")
@options.namespace("The namespace of the platforms' Secrets.")
@needs("api,operator,postgres")
def api(kubeconfig: str | None, namespace: str) -> None:
    """Serve the HTTP API for agents until it gets a signal to stop.

    The API holds only the vendor's credential; the operator must run, too. Environment variables ROLEVEND_... hold all other settings;
    docs/reference/settings.md lists them.
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
@options.kubeconfig("Default: the pod's ServiceAccount.", "ROLEVEND_KUBECONFIG")
@options.namespace("The namespace of the operator and of the console's sessions.")
@needs("api,operator")
def console(kubeconfig: str | None, namespace: str) -> None:
    """Serve the console for people until it gets a signal to stop.

    People answer requests, see what agents read for whom, and end roles, each with their own rights in the cluster. Environment variables
    ROLEVEND_... hold all other settings; docs/reference/settings.md lists them.
    """
    import asyncio
    import contextlib

    from rolevend.app.console import run
    from rolevend.settings import ConsoleSettings
    from rolevend.telemetry.logs import configure

    settings = ConsoleSettings.from_environment().model_copy(update={"kubeconfig": kubeconfig, "namespace": namespace})
    configure(settings.log_level)
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(run(settings))


@click.command()
@click.option(
    "--write",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file for each kind into this directory instead of printing.",
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
@click.option(
    "--api", help="The API's Deployment in that namespace. The command stops it first, and starts it again if it cannot drop all roles."
)
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=240, show_default=True, help="The longest time to wait, in seconds."
)
@click.option("--platforms", is_flag=True, help="Also delete the DataPlatforms, after the last role.")
def drain(kubeconfig: str | None, namespace: str, policy: str, api: str | None, timeout: float, *, platforms: bool) -> None:
    """Refuse new requests, end all live roles, and wait until the operator has dropped them.

    The chart runs this command before an uninstall. Vending stays closed until the policy's binding is deleted. If an object is left, the
    exit status is 1, and standard output names each object.
    """
    import asyncio

    from rolevend.app.drain import drain as run

    def report(text: str) -> None:
        click.echo(text, err=True)

    if kubeconfig is None and "KUBERNETES_SERVICE_HOST" not in os.environ:
        kubeconfig = options.own(None)
    left = asyncio.run(run(kubeconfig, namespace, policy, timeout, api=api, platforms=platforms, report=report))
    for each in left:
        click.echo(f"left: {each.kind} {each.name}: {each.message}")
    if left:
        report(f"vending stays closed; to open it again: kubectl delete validatingadmissionpolicybinding {policy}")
    printer.exit_if(left)
