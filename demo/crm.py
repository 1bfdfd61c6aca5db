"""The second platform of the story: a sales department's Snowflake account, whose customers are some of the insurer's people.

It is the model of Snowflake (`testbed.snowflake_model`), and rolevend is installed on it with the commands for an account.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import yaml
from snowflake.connector import SnowflakeConnection

from demo.seed import Person
from rolevend.platforms.snowflake.sql import Sql, compose, identifier, join, literal, number, qualified
from rolevend.policytools.embedded.errors import PartFailed
from testbed.installation import checkout
from testbed.snowflake_model import CONNECTION, SnowflakeModel

PLATFORM = "crm"
ON_BOTH = Path("examples") / "05-two-platforms"
"""A path in the checkout."""
TABLE = ("CRM", "SALES", "CUSTOMERS")
_CUSTOMERS = 1_000
_WAREHOUSE = "AGENTS_WH"


class Crm:
    """Runs from `start` to `close`. `admin` is a session of the account's administrator."""

    def __init__(self, directory: Path, people: Sequence[Person]) -> None:
        """Files are written to `directory`."""
        self.people = tuple(people[:_CUSTOMERS])
        """The customers: the first of all people."""
        self.model = SnowflakeModel(checkout(), directory / "account", _WAREHOUSE)
        self.manifest = directory / "1-platform.yaml"
        self.secrets = directory / "secrets.yaml"
        self._ends = ExitStack()

    admin: SnowflakeConnection

    def start(self) -> Self:
        """Start it with the tables, without rolevend."""
        self._ends.callback(self.model.close)
        self.model.start()
        self.admin = self.model.administrator()
        self._ends.callback(self.admin.close)
        for cursor in self.admin.execute_string((checkout() / ON_BOTH / "account.sql").read_text(), remove_comments=True):
            cursor.close()
        self.run(compose("INSERT INTO {} VALUES {}", qualified(*TABLE), join(", ", map(_row, self.people))))
        written = yaml.safe_load((checkout() / ON_BOTH / "manifests" / "1-platform.yaml").read_text())
        written["spec"]["snowflake"] |= self.model.place.address
        written["spec"]["allowUnattested"] = True  # an attestation of a model proves nothing of an account, and takes time
        self.manifest.write_text(yaml.safe_dump(written, sort_keys=False))
        return self

    def install(self) -> Path:
        """Install with `rolevend platform plan` and `install`. Returns the file with the operator's two logins."""
        planned = self._rolevend("plan")
        found = re.search(r"^-- digest: (\S+)$", planned, re.MULTILINE)
        if found is None:
            raise PartFailed(f"rolevend platform plan says no digest:\n{planned}")
        self._rolevend("install", "--accept", found[1], "--secrets", str(self.secrets), "--connection", CONNECTION)
        return self.secrets

    def check(self) -> None:
        """Raise `PartFailed`, with the end of its log, if it has ended."""
        self.model.check()

    def run(self, statement: Sql) -> list[tuple[Any, ...]]:
        """Run a statement as the account's administrator."""
        with self.admin.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]

    def salt(self) -> bytes:
        """Return the salt of the mask Hash; no vended role can read it."""
        ((salt,),) = self.run(Sql("SELECT SALT FROM ROLEVEND.CONTROL.SALT"))
        return bytes(salt)

    def roles(self, name: str) -> list[str]:
        """Return the roles with this prefix."""
        return [str(row[1]) for row in self.run(compose("SHOW ROLES STARTS WITH {}", literal(name)))]

    def users(self, name: str) -> list[str]:
        """Return the users with this prefix."""
        return [str(row[0]) for row in self.run(compose("SHOW USERS STARTS WITH {}", literal(name)))]

    def member_of(self, role: str) -> list[str]:
        """Return the roles that it is granted."""
        grants = self.run(compose("SHOW GRANTS TO ROLE {}", identifier(role)))
        return [str(name) for _, _, granted_on, name, *_ in grants if granted_on == "ROLE"]

    def close(self) -> None:
        self._ends.close()

    def _rolevend(self, verb: str, *words: str) -> str:
        command = [sys.executable, "-m", "rolevend", "platform", verb, "-f", str(self.manifest), *words]
        environment = {**os.environ, "SNOWFLAKE_HOME": str(self.model.connections)}
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
        if answer.returncode != 0:
            raise PartFailed(f"rolevend platform {verb} failed for {PLATFORM}: {answer.stderr.strip()}")
        return answer.stdout


def note_of(person: Person) -> str:
    """Return the sales department's note on a customer."""
    return f"{(person.full_name or '').split()[0]} asked for a call"


def _row(person: Person) -> Sql:
    texts = (person.full_name, person.ssn, person.birth_date, person.country, note_of(person))
    return compose("({}, {})", number(person.person_id), join(", ", (literal(str(text)) for text in texts)))
