"""Commands for receipts: signed records of a role's access and of its end, which anybody can verify offline."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rolevend.cli import options, printer
from rolevend.cli.options import needs

if TYPE_CHECKING:
    from rolevend.audit.receipt_files import VerifiedReceipts


@click.group()
def receipt() -> None:
    """Create the key that signs the receipts of roles, and verify receipts offline."""


@receipt.command("new-key")
@needs("operator")
def new_key() -> None:
    """Print a new private key as PEM. It is a secret: pipe it to the place where you keep it."""
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
    help="A private key as PEM or JWK. Repeatable.",
)
@needs("operator")
def keys(files: tuple[str, ...]) -> None:
    """Print the public keys of these private keys as a key set (JWKS), for verification. It holds no secret."""
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
    help="The key set that `rolevend receipt keys` prints. Repeat it for earlier keys.",
)
@options.OUTPUT
@needs("operator")
def verify(files: tuple[str, ...], key_files: tuple[str, ...], output: str) -> None:
    """Print the access and the end of each role, and verify the signatures.

    FILE holds audit events, or receipts alone, one on each line; - is standard input. The output names a receipt that was altered, that
    differs from its event, or that has a half of another role or only one half; then the exit status is 1. To find missing events, use
    `rolevend audit verify`.
    """
    from rolevend.audit.receipt_files import read_public_keys
    from rolevend.audit.receipt_files import verify as verify_files

    found = verify_files(files, read_public_keys(key_files))
    printer.show(output, lambda: found, text=lambda: "\n".join(_lines(found)))
    printer.exit_if(found.problems)


def _lines(found: "VerifiedReceipts") -> Iterator[str]:
    from rolevend.audit.receipt_text import facts

    for receipt in found.receipts:
        yield from (f"{name:<10} {_printable(value)}" for name, value in facts(receipt))
        yield ""
    yield from printer.findings(found.problems, found.notes)
    outcome = f"{len(found.problems)} problems" if found.problems else "all of them as they were signed"
    yield f"{len(found.receipts)} receipts, {outcome}"


def _printable(text: str) -> str:
    """Replace control characters, which could steer a terminal, by their codes."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
