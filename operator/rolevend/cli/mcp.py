"""The command `mcp`. The MCP server is part of rolevend-client, which agents install."""

import sys

import click

from rolevend.errors import Rejected


@click.command()
@click.argument("transport", type=click.Choice(["stdio", "http"]))
def mcp(transport: str) -> None:
    """Serve MCP: a model queries with a database role of its own, for the person who uses its client.

    Use stdio for the client that starts this process, and http for many people. The command rolevend-mcp of rolevend-client is the same,
    and needs no operator. Environment variables ROLEVEND_... hold the settings.
    """
    try:
        from rolevend_client.mcp.__main__ import main
    except ModuleNotFoundError as error:
        raise Rejected(
            "this command is a part of rolevend-client; in the folder that rolevend is installed from: pip install './clients/python[mcp]'"
        ) from error
    sys.exit(main([transport]))
