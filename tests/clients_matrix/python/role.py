"""The login of a role, as a pod gets it from the Secret, and the answer of a program to the test that started it."""

import json
import os
from collections.abc import Callable
from typing import Any

URI, SCHEMA = os.environ["ROLE_URI"], os.environ["ROLE_SCHEMA"]
HIDDEN = os.environ["ROLE_HIDDEN"].split()
"""A table that is not granted, and the base table of one that is."""
READ = "SELECT id, region, ssn FROM people ORDER BY id"
COUNT = "SELECT count(*) FROM people"
QUERIES = 30


def refusals(read: Callable[[str], object]) -> list[str]:
    """Return the error of each hidden table."""
    errors = []
    for table in HIDDEN:
        try:
            errors.append(f"read {read(f'SELECT * FROM {table}')}")
        except Exception as error:
            errors.append(str(error))
    return errors


def answer(**parts: Any) -> None:
    print(json.dumps(parts, default=str))
