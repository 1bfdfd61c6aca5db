"""The commands of administrators: the state of an installation on one screen, and everything that is wrong with it."""

from typing import TYPE_CHECKING

import click

from rolevend.cli import colour, options, printer
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.cluster_health.facts import ClusterFacts


@click.command()
@options.namespace()
@options.kubeconfig()
@options.CONTEXT
@options.OUTPUT
@needs("operator")
def status(namespace: str, kubeconfig: str | None, context: str | None, output: str) -> None:
    """Show an installation on one screen: versions, platforms with their conditions and live roles, objects that are not Ready, open access
    requests, suspensions, and roles that wait for a vend or a drop.

    The command reads with your own rights, and names what you may not read. `rolevend doctor` says what to do.
    """
    from rolevend.cluster_health.overview import as_json, as_text, overview

    found = overview(_facts(namespace, kubeconfig, context, with_secrets=False))
    printer.show(output, lambda: as_json(found), colour.STATUS, text=lambda: as_text(found))


@click.command()
@options.namespace()
@options.kubeconfig()
@options.CONTEXT
@options.OUTPUT
@needs("operator")
def doctor(namespace: str, kubeconfig: str | None, context: str | None, output: str) -> None:
    """Report everything that is wrong with an installation, and what to do about it.

    The command reads definitions, Deployments, the leader, clocks, admission policies, rights, platforms with their attestations, Secrets
    and certificates, and the conditions of policies and agents. It changes nothing, and prints no value of a Secret. It reads with your own
    rights, names what you may not read, and goes on. The exit status is 1 if something is wrong.
    """
    from rolevend.cluster_health.findings import as_json, as_text, findings, is_wrong

    found = findings(_facts(namespace, kubeconfig, context, with_secrets=True))
    printer.show(output, lambda: as_json(found), colour.DOCTOR, text=lambda: as_text(found))
    printer.exit_if(is_wrong(found))


def _facts(namespace: str, kubeconfig: str | None, context: str | None, *, with_secrets: bool) -> "ClusterFacts":
    import asyncio

    from rolevend.approvals.reader import ClusterAccess
    from rolevend.cluster_health.facts import read_facts

    return asyncio.run(read_facts(ClusterAccess(options.own(kubeconfig), context), namespace, with_secrets=with_secrets))
