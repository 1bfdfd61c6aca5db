"""The script for an administrator: statements, each with its reason. Values only."""

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import fill
from typing import Final

from rolevend.catalog import ToolId
from rolevend.platforms.protocol import Account
from rolevend.platforms.snowflake.sql import Sql

VERSION: Final = 2
"""The version of the script. Increases with every change that a running operator must detect."""


@dataclass(frozen=True, slots=True)
class SnowflakeInstallOptions:
    """The governed schemas, and the tools that agents may use."""

    schemas: tuple[str, ...]
    tools: tuple[ToolId, ...] = ()


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The public keys of the two logins, in the format of RSA_PUBLIC_KEY."""

    vendor: str
    programmer: str


PLACEHOLDERS: Final = PublicKeys("<public key of the vendor>", "<public key of the programmer>")
"""For a printed plan without keys."""


@dataclass(frozen=True, slots=True)
class SnowflakeInstallStatement:
    text: Sql
    why: str


@dataclass(frozen=True, slots=True)
class Script:
    account: Account
    options: SnowflakeInstallOptions
    statements: tuple[SnowflakeInstallStatement, ...]

    def text(self) -> str:
        """Return every statement with its reason."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"-- rolevend {VERSION} in account {self.account.identifier}, for schemas of database {self.account.database}"
        yield "-- Run it as ACCOUNTADMIN, in Snowsight or with `snow sql -f`. Each statement may run again."
        for statement in self.statements:
            yield "\n" + fill(statement.why, 120, initial_indent="-- ", subsequent_indent="-- ")
            yield f"{statement.text};"
        yield ""
