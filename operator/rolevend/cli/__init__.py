"""The command line: parses arguments, calls `app`, prints results. A command imports its modules when it runs, so `--help` is fast."""

import sys

import click

from rolevend import __version__
from rolevend.cli.access import access
from rolevend.cli.approvals import approve, deny, requests
from rolevend.cli.cluster import api, console, crds, drain, operator
from rolevend.cli.explain import explain
from rolevend.cli.health import doctor, status
from rolevend.cli.ledger import ledger
from rolevend.cli.mcp import mcp
from rolevend.cli.options import extra_of, packages_missing
from rolevend.cli.platform import platform
from rolevend.cli.policy import policy
from rolevend.cli.receipt import receipt
from rolevend.cli.record import audit, trace, who
from rolevend.cli.revoke import revoke

_FAILED = 1


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="rolevend")
def cli() -> None:
    """Vends short-lived, least-privilege database roles to AI agents that act on behalf of a person.

    \b
    Shell completion, also with zsh_source or fish_source:
      eval "$(_ROLEVEND_COMPLETE=bash_source rolevend)"
    """


for command in (operator, api, console, mcp, crds, drain, platform, policy, explain):
    cli.add_command(command)
for command in (status, doctor, access, who, trace, ledger, audit, receipt, requests, approve, deny, revoke):
    cli.add_command(command)


def main(command: click.Command = cli) -> None:
    """Run the command. Print an error that a person can fix as one line, without a traceback."""
    from rolevend.errors import RolevendError

    try:
        command(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("aborted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except RolevendError as error:
        from rolevend.platforms.statement import plain

        # Names of objects are others' words.
        click.echo("rolevend: " + "\n".join(map(plain, str(error).split("\n"))), err=True)
        sys.exit(_FAILED)
    except ModuleNotFoundError as error:
        extra = extra_of(error)
        if extra is None:
            raise
        click.echo(f"rolevend: {packages_missing(extra)}", err=True)
        sys.exit(_FAILED)
    except OSError as error:
        if error.filename is None:  # the error is not about a file that a person named
            raise
        click.echo(f"rolevend: {error.filename}: {error.strerror}", err=True)
        sys.exit(_FAILED)
