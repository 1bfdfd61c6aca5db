"""Starts an account to try things by hand, or from another process: ``python -m tests.support.snowflake``.

Prints one line of JSON: account, host, port, user, and the user's private key as base64 of its DER form. Ends with its standard input.
It is a model, and not Snowflake.
"""

import base64
import json
import sys

from tests.support.snowflake.wire import StandIn


def main() -> None:
    with StandIn() as snowflake:
        key = base64.b64encode(snowflake.administrator.private).decode()
        place = {"account": snowflake.account.name, "host": "127.0.0.1", "port": snowflake.port, "user": "ADMIN", "private_key": key}
        print(json.dumps(place), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
