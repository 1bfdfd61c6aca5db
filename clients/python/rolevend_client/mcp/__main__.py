"""The command `rolevend-mcp`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from rolevend_client.errors import Misconfigured, RolevendError
from rolevend_client.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="rolevend-mcp",
        description="Serve MCP: a model queries as a database role of its own, for the person who uses the client.",
        epilog="Everything else is set by environment variables ROLEVEND_...; docs/how-to/use-the-mcp-server.md names them.",
    )
    parser.add_argument("transport", choices=["stdio", "http"], help="stdio: for the client that starts it; http: for many people")
    given = parser.parse_args(arguments)
    try:
        _serve(given.transport)
    except RolevendError as error:
        print(f"rolevend-mcp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _serve(transport: str) -> None:
    try:
        from rolevend_client.mcp.serving import serve_http, serve_stdio
        from rolevend_client.mcp.settings import HttpSettings, StdioSettings, Wanted
    except ModuleNotFoundError as error:
        raise Misconfigured(f"cannot serve: {error.name} is not installed; it comes with the extra mcp of rolevend-client") from None
    wanted, api = Wanted.from_environment(os.environ), Settings.from_environment(os.environ)
    if transport == "stdio":
        asyncio.run(serve_stdio(StdioSettings.from_environment(os.environ), wanted, api))
    else:
        asyncio.run(serve_http(HttpSettings.from_environment(os.environ), wanted, api))


if __name__ == "__main__":
    sys.exit(main())
