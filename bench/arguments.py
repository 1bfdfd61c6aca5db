"""The command line of a measurement: `python -m bench.api --help`."""

import argparse
import sys
from functools import cache
from typing import Final

NEWEST: Final = 18
"""The version of PostgreSQL that the driver is measured on."""


@cache
def arguments() -> argparse.Namespace:
    """Read the command line. Exits after `--help`, and with 2 where an argument is not known."""
    main = sys.modules["__main__"]
    name = main.__spec__.name.removesuffix(".__main__") if main.__spec__ else "bench"
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, and no budget that needs the full ones")
    parser.add_argument("--no-ledger", action="store_true", help="bench.api: record roles as objects of Kubernetes")
    parser.add_argument("version", nargs="?", type=int, default=NEWEST, help="of PostgreSQL, for measurements of the driver")
    is_measurement = name.partition(".")[0] == "bench"  # otherwise the arguments are those of pytest
    return parser.parse_args(None if is_measurement else [])
