"""Write the synchronous modules of rolevend_client from the asynchronous ones: `--write`, or `--check` to find differences."""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import unasync

PACKAGE = Path(__file__).parent / "rolevend_client"
MODULES = {
    "async_caller": "caller",
    "async_client": "client",
    "async_connection": "connection",
    "async_exchange": "exchange",
    "async_requested": "requested",
    "async_role": "role",
    "async_role_session": "role_session",
}
NAMES = {
    **MODULES,
    "aclose": "close",
    "aclosing": "closing",
    "aiter_bytes": "iter_bytes",
    "_async_role_connection": "_role_connection",
    "async_answer": "answer",
    "async_connect": "connect",
    "async_limited": "limited",
    "async_token_of": "token_of",
    "enter_async_context": "enter_context",
    "AbstractAsyncContextManager": "AbstractContextManager",
    "AsyncExitStack": "ExitStack",
    "AsyncRoleSession": "RoleSession",
    "AsyncTokenExchange": "TokenExchange",
    "AsyncUserTokens": "UserTokens",
    "async_snowflake": "snowflake",
    "async_uncancellable": "uncancellable",
    "asyncio": "time",
    "AsyncAccessRequested": "AccessRequested",
    "AsyncBaseTransport": "BaseTransport",
    "AsyncAlarm": "Alarm",
    "AsyncApiCaller": "ApiCaller",
    "AsyncClient": "Client",
    "AsyncConnection": "Connection",
    "AsyncLock": "Lock",
    "AsyncLook": "Look",
    "AsyncMayEnd": "MayEnd",
    "AsyncRelease": "Release",
    "AsyncRole": "Role",
    "AsyncRoleConnection": "RoleConnection",
    "AsyncRolevend": "Rolevend",
    "AsyncSleep": "Sleep",
    "AsyncSnowflakeConnection": "SnowflakeConnection",
}
HEADER = "# Generated from {source}.py by `make fix`. Do not edit.\n"


def generated() -> dict[Path, str]:
    """Return the text of each generated module, formatted."""
    with tempfile.TemporaryDirectory() as folder:
        for source in MODULES:
            shutil.copy(PACKAGE / f"{source}.py", folder)
        rules = [unasync.Rule(f"{source}.py", f"{target}.py", NAMES) for source, target in MODULES.items()]
        unasync.unasync_files([f"{folder}/{source}.py" for source in MODULES], rules)
        return {
            PACKAGE / f"{target}.py": _formatted(
                HEADER.format(source=source) + Path(folder, f"{target}.py").read_text("utf-8"), f"{target}.py"
            )
            for source, target in MODULES.items()
        }


def _formatted(text: str, name: str) -> str:
    for command in (["check", "--fix", "--select=I,F811"], ["format"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--quiet", f"--stdin-filename={PACKAGE / name}", "-"]
        text = subprocess.run(ruff, input=text, text=True, capture_output=True, check=True).stdout  # noqa: S603 - fixed words
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_true")
    choice.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    differing = {file: text for file, text in generated().items() if not file.exists() or file.read_text("utf-8") != text}
    for file, text in differing.items():
        if arguments.write:
            file.write_text(text, "utf-8")
        else:
            print(f"{file.name} differs from its source; run `make fix`", file=sys.stderr)
    return 1 if differing and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
