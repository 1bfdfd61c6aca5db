"""Write src/openapi.ts, the types of the API's OpenAPI document: `--write`, or `--check` to find differences."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

from rolevend.api.routes import application
from testbed import node

PACKAGE = Path(__file__).parent
TYPES = PACKAGE / "src" / "openapi.ts"
HEADER = "// Generated from the API's OpenAPI document by `make fix`. Do not edit.\n"


def document() -> dict[str, Any]:
    """Return the OpenAPI document, which depends on none of the API's parts."""
    nothing = cast(Any, None)
    return application(nothing, nothing, nothing, nothing, nothing).openapi()


def generated() -> str:
    """Return the text of src/openapi.ts."""
    command = [*node.program("openapi-typescript"), "--default-non-nullable", "false"]
    answer = subprocess.run(command, input=json.dumps(document()), text=True, capture_output=True, check=True, cwd=PACKAGE)  # noqa: S603 - fixed words
    return HEADER + answer.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_true")
    choice.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    text = generated()
    if arguments.write:
        TYPES.write_text(text, "utf-8")
    elif not TYPES.exists() or TYPES.read_text("utf-8") != text:
        print(f"{TYPES.name} differs from the OpenAPI document; run `make fix`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
