"""Receipts: what a role was given and how it ended, signed, and checked where nobody need be asked."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rolevend.cli import options
from rolevend.cli.extras import needs

if TYPE_CHECKING:
    from rolevend.audit.receipt_files import Receipt


@click.group()
def receipt() -> None:
    """Make the key that receipts of roles are signed with, and check receipts without asking anybody."""


@receipt.command("new-key")
@needs("operator")
def new_key() -> None:
    """Print a new private key, as PEM. A secret: pipe it to where it stays."""
    from rolevend.audit.receipt_files import new_private_key

    click.echo(new_private_key(), nl=False)


@receipt.command("keys")
@click.option(
    "--key",
    "files",
    multiple=True,
    required=True,
    type=options.READABLE_FILE,
    metavar="FILE",
    help="A private key, as PEM or JWK. May be given again.",
)
@needs("operator")
def keys(files: tuple[str, ...]) -> None:
    """Print the public halves of private keys as a key set (JWKS): for those who verify, and no secret."""
    from pathlib import Path

    from rolevend.audit.receipt_files import public_key_set, read_signing_key

    click.echo(public_key_set([read_signing_key(Path(file)) for file in files]))


@receipt.command("verify")
@options.FILES
@click.option(
    "--keys",
    "key_files",
    multiple=True,
    required=True,
    type=options.READABLE_FILE,
    metavar="FILE",
    help="The key set that `rolevend receipt keys` prints. May be given again, for a key that was another one once.",
)
@options.OUTPUT
@needs("operator")
def verify(files: tuple[str, ...], key_files: tuple[str, ...], output: str) -> None:
    """Say what roles were given and how they ended, and whether that is what was signed.

    FILE holds audit events, or receipts alone, one a line; - is standard input. A receipt that was altered, that is not what its event
    says, or whose half is missing or another role's is named, and the exit status is 1. Whether events are missing is what
    `rolevend audit verify` says.
    """
    import json
    from dataclasses import asdict

    from rolevend.audit.receipt_files import read_public_keys
    from rolevend.audit.receipt_files import verify as verify_files

    found = verify_files(files, read_public_keys(key_files))
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        for each in found.receipts:
            for name, value in _told(each):
                click.echo(f"{name:<10} {_shown(value)}")
            click.echo()
        for problem in found.problems:
            click.echo(f"PROBLEM {problem}")
        for note in found.notes:
            click.echo(f"note: {note}")
        outcome = f"{len(found.problems)} problems" if found.problems else "all of them as they were signed"
        click.echo(f"{len(found.receipts)} receipts, {outcome}")
    if found.problems:
        sys.exit(options.FAILED)


def _told(receipt: "Receipt") -> Iterator[tuple[str, str]]:
    beginning, end = receipt.beginning, receipt.end
    said = {**(end.said if end else {}), **(beginning.said if beginning else {})}
    user = f"{said['userSubject']} ({said.get('userIssuer')})" if "userSubject" in said else None
    proof = ", ".join(str(said[name]) for name in ("userProof", "identityProvider", "tokenType") if name in said)
    task = " ".join(str(said[name]) for name in ("taskId", "intentDigest") if name in said)
    tables = ", ".join(said.get("tables", ()))
    more = f"{said.get('tableCount')}: {tables}" + (", …" if len(said.get("tables", ())) < said.get("tableCount", 0) else "")
    facts = {
        "role": said.get("role"),
        "object": said.get("request"),
        "agent": said.get("agent"),
        "user": user,
        "proof": proof,
        "token": said.get("tokenDigest"),
        "platform": said.get("platform"),
        "purpose": said.get("purpose"),
        "task": task,
        "call": said.get("requestId"),
        "policies": said.get("policyDigest"),
        "catalog": said.get("catalogDigest"),
        "profile": said.get("profile"),
        "tables": more if beginning else None,
        "from": beginning.said.get("time") if beginning else "(no beginning is here)",
        "until": said.get("expiresAt"),
        "ended": _ended(end.said) if end else "(no end is here: the role may live, or its second half is elsewhere)",
        "signed by": ", ".join(dict.fromkeys(half.key_id for half in (beginning, end) if half)),
    }
    return ((name, str(value)) for name, value in facts.items() if value)


def _ended(said: dict[str, object]) -> str:
    by = f" by {said['endedBy']}" if "endedBy" in said else ""
    sessions = f", {said['sessionsEnded']} sessions ended" if "sessionsEnded" in said else ""
    return f"{said.get('ended')}{by}, gone at {said.get('endedAt')} after {said.get('dropSeconds')} s{sessions}"


def _shown(text: str) -> str:
    """What steers a terminal is shown by its code."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
