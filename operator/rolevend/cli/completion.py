"""Complete the names of objects in a shell, by click's own mechanism: from `--files`, otherwise from the cluster.

A name that a shell could read as more than a word is left out: somebody else chose it, and the line that it ends in is run.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import click

from rolevend.cli import options

Body = dict[str, Any]
Completer = Callable[[click.Context, click.Parameter, str], list[str]]

_WORD: Final = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.@+:/=]*")
"""A word that is itself in bash, zsh and fish."""


def _completer(kind: str, names: Callable[[Body], Iterable[object]], *, in_namespace: bool = False) -> Completer:
    """Return a completer with the names that objects of this kind have; with `in_namespace` only of those in the command's namespace."""

    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        namespace = context.params.get("namespace") if in_namespace else None
        found = {str(name) for body in _bodies(context, kind, namespace) for name in names(body) if name}
        return sorted(name for name in found if name.startswith(begun) and _WORD.fullmatch(name))

    return complete


def _bodies(context: click.Context, kind: str, namespace: str | None) -> Iterable[Body]:
    """Return the objects; none if they cannot be read."""
    from rolevend.errors import RolevendError

    given = context.params
    try:
        if given.get("files"):
            return [each for each in _in_files(given["files"], kind) if namespace in (None, each["metadata"].get("namespace"))]
        import asyncio

        from rolevend.app.object_names import named_bodies
        from rolevend.approvals.reader import ClusterAccess

        access = ClusterAccess(options.own(given.get("kubeconfig")), given.get("context"), given.get("namespace"))
        return asyncio.run(named_bodies(access, kind, namespace))
    except (RolevendError, ModuleNotFoundError):
        return ()


def _in_files(paths: Iterable[Any], kind: str) -> list[Body]:
    from rolevend.policytools.folder import Folder

    return [document.body for document, each in Folder.read(map(Path, paths)).found.values() if each.kind == kind]


def _name(body: Body) -> list[object]:
    return [body["metadata"]["name"]]


def _qualified(body: Body) -> list[object]:
    return [f"{body['metadata'].get('namespace')}/{body['metadata']['name']}"]


def _subject(body: Body) -> list[object]:
    return [body["spec"]["user"]["subject"]]


def _role_names(body: Body) -> list[object]:
    return [body.get("status", {}).get("roleName")]


AGENT_NAMES = _completer("Agent", _name, in_namespace=True)
AGENTS = _completer("Agent", _qualified)
PLATFORMS = _completer("DataPlatform", _name)
SUBJECTS = _completer("UserAttributes", _subject)
ISSUERS = _completer("UserAttributes", lambda body: [body["spec"]["user"]["issuer"]])
VENDED_ROLES = _completer("VendedRole", _name, in_namespace=True)
ROLE_NAMES = _completer("VendedRole", _role_names)
"""The names of roles in databases."""
