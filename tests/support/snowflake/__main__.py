"""Starts an account to try things by hand, or from another process. It is a model, and not Snowflake.

``python -m tests.support.snowflake`` prints one line of JSON (account, host, port, user, and the user's private key as base64 of its DER
form), and ends with its standard input. ``python -m tests.support.snowflake FILE`` writes that line to FILE, which nobody else can read
and which is there whole or not at all, and ends by SIGTERM.
"""

import base64
import json
import os
import signal
import sys
from pathlib import Path

from tests.support.snowflake.wire import StandIn


def main(arguments: list[str]) -> None:
    if arguments:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # before there are threads: none of them takes it
    with StandIn() as snowflake:
        key = base64.b64encode(snowflake.administrator.private).decode()
        place = {"account": snowflake.account.name, "host": "127.0.0.1", "port": snowflake.port, "user": "ADMIN", "private_key": key}
        if not arguments:
            print(json.dumps(place), flush=True)
            sys.stdin.read()
            return
        _write(Path(arguments[0]), json.dumps(place))
        signal.sigwait({signal.SIGTERM})


def _write(file: Path, text: str) -> None:
    whole = file.with_suffix(".part")
    with open(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="ascii") as opened:
        opened.write(text)
    whole.replace(file)


if __name__ == "__main__":
    main(sys.argv[1:])
