"""The command `explain`: why an agent gets its access for a user."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rolevend.cli import colour, completion, options, printer
from rolevend.cli.catalogs import CatalogSource, catalog_options

if TYPE_CHECKING:
    from rolevend.model import User
    from rolevend.policytools.folder import Folder


@click.command()
@click.argument("vended_role", required=False, metavar="[VENDEDROLE]", shell_complete=completion.VENDED_ROLES)
@click.option("-n", "--namespace", help="The VendedRole's and the agent's namespace. Default: that of the context.")
@click.option(
    "--agent",
    shell_complete=completion.AGENT_NAMES,
    help="Instead of a VendedRole: the name of the Agent. Default: an agent that may act for every user.",
)
@click.option("--user", shell_complete=completion.SUBJECTS, help="Instead of a VendedRole: the user's subject.")
@click.option(
    "--issuer", shell_complete=completion.ISSUERS, help="The user's issuer. Default: the issuer of the only known user with this subject."
)
@click.option(
    "--platform",
    shell_complete=completion.PLATFORMS,
    help="Instead of a VendedRole: the name of the DataPlatform. Default: the platform of the first catalog.",
)
@options.purpose("Instead of a VendedRole: the purpose that the agent states.")
@options.expiration_seconds("Instead of a VendedRole: the lifetime that the agent requests.")
@click.option(
    "--files",
    multiple=True,
    type=options.Manifests(),
    metavar="PATH",
    help="Read objects from these files and folders instead of the cluster. Repeatable.",
)
@catalog_options()
@options.OUTPUT
def explain(
    vended_role: str | None,
    namespace: str | None,
    agent: str | None,
    user: str | None,
    issuer: str | None,
    platform: str | None,
    purpose: str,
    expiration_seconds: int,
    files: tuple[Path, ...],
    catalogs: CatalogSource,
    output: str,
) -> None:
    """Explain the access that an agent gets for a user: each policy with its conditions, grants and masks, what is missing, the agent's
    tools, and the offers that it may ask for.

    Explain a VendedRole on each of its platforms, whether it was granted or denied, or a --user and an --agent before any request. The
    objects come from the cluster, which needs the right to list them, or from --files. The catalogs come from the cluster, too, which needs
    the Role rolevend-catalog-reader, or from --catalog: with both options no cluster is called. The output shows the attribute values that
    policies require, and not the values that the user has. Notes on standard error say how old the published catalogs are.
    """
    import asyncio

    from rolevend.model import ObjectName, PlatformName
    from rolevend.policytools.decisions import ANY_AGENT, Requester
    from rolevend.policytools.explain import ExplainedObjects, all_explained, as_json, as_text, explained
    from rolevend.policytools.folder import Folder

    if (vended_role is None) == (user is None) or (vended_role is not None and files):
        raise click.UsageError("name a VendedRole of the cluster, or a --user")
    held = catalogs.read(files)
    if files:
        objects = ExplainedObjects(Folder.sound(files), namespace or "default")
    else:
        from rolevend.policytools.cluster import read_cluster

        objects = asyncio.run(read_cluster(options.own(catalogs.kubeconfig), namespace, vended_role))
    if objects.requests:
        found = all_explained(objects, held)
    else:
        known = _user(objects.folder, user or "", issuer)
        name = ObjectName(objects.namespace, agent) if agent else ANY_AGENT
        who = Requester(known, name, PlatformName(platform or next(iter(held))), purpose, expiration_seconds)
        found = (explained(objects.folder, who, held),)
    printer.show(output, lambda: as_json(found), colour.EXPLANATION, text=lambda: as_text(found))


def _user(folder: "Folder", subject: str, issuer: str | None) -> "User":
    from rolevend.kinds import UserAttributes
    from rolevend.model import User
    from rolevend.policy.vocabulary import closest

    known = [each.spec.user for each in folder.of(UserAttributes)]
    issuers = {each.issuer for each in known if each.subject == subject}
    if issuer is None and len(issuers) != 1:
        suggested = "" if issuers else closest(subject, (each.subject for each in known))
        raise click.UsageError(f"{len(issuers)} known users have the subject {subject}: name the --issuer{suggested}")
    return User(issuer or issuers.pop(), subject)
