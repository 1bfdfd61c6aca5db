"""The MCP server: a part of what agents install, and no part of the operator."""

import sys

import click

from rolevend.errors import Rejected


@click.command()
@click.argument("transport", type=click.Choice(["stdio", "http"]))
def mcp(transport: str) -> None:
    """Serve MCP, so that a model queries as a database role of its own, for the person who uses its client.

    Over stdio for the client that starts it, over http for many people. The same as rolevend-mcp, which agents install without the
    operator; environment variables ROLEVEND_... set it.
    """
    try:
        from rolevend_client.mcp.__main__ import main
    except ModuleNotFoundError as error:
        raise Rejected(
            "this command is a part of rolevend-client; in the folder that rolevend is installed from: pip install './clients/python[mcp]'"
        ) from error
    sys.exit(main([transport]))
