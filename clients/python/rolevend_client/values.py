"""What is said to the API and by it, as frozen values. Secrets among them do not print."""

import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True, repr=False)
class UserToken:
    """A token of the person, as the identity provider issued it. It neither prints nor passes for a text, so nothing logs or keeps it."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "UserToken(…)"


class Resource(NamedTuple):
    """One table to narrow a request to."""

    schema: str
    table: str


@dataclass(frozen=True, slots=True)
class Task:
    """What the role is for. It travels into audit events, and into what the database shows of the role's sessions."""

    id: str
    intent_digest: str | None = None
    """`sha256:` and 64 hexadecimal digits."""

    @classmethod
    def of(cls, id: str, intent: str) -> Self:  # noqa: A002 - as the member is called
        """With a digest of the stated intent; the intent itself stays here."""
        return cls(id, f"sha256:{hashlib.sha256(intent.encode()).hexdigest()}")


@dataclass(frozen=True, slots=True)
class AssertedUser:
    """A person without a token, for agents that are trusted to name one."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class User:
    issuer: str
    subject: str
    handle: str
    """As in the role's name."""
    proof: str
    """Token, Exchanged or Asserted."""


@dataclass(frozen=True, slots=True)
class Agent:
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    shown: str
    """Clear or Masked."""
    mask: str | None = None
    """What is shown instead; where that is different row by row, both, as `Clear where … else Hash`."""

    @property
    def clear(self) -> bool:
        return self.mask is None and self.shown == "Clear"


@dataclass(frozen=True, slots=True)
class Table:
    """One table that the role reads, and how."""

    schema: str
    table: str
    columns: tuple[Column, ...] = ()
    row_filters: tuple[str, ...] = ()
    """A row is shown if one of them holds. Empty: every row."""
    restrictions: tuple[str, ...] = ()
    """And only if all of these hold, too."""
    policies: tuple[str, ...] = ()
    """Those that grant it."""
    platform: str = ""
    """Where it is, of a role on several platforms; else empty."""
    stricter_for_tools: tuple[str, ...] = ()
    """On Snowflake: where a tool of the agent sees less of it than the role does, and why, one sentence each."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is granted, and why."""

    tables: tuple[Table, ...] = ()
    tables_left_out: int = 0
    """That many more are granted, for which there was no room here."""
    functions: tuple[str, ...] = ()
    """Those that the agent has as tools."""

    def named(self, platform: str = "") -> dict[str, Table]:
        """The tables by the names that the role finds them under: of two with one name, with their schemas. `platform` is one of those
        that the role is on."""
        there = [each for each in self.tables if each.platform in ("", platform) or not platform]
        bare = [each.table for each in there]
        return {each.table if bare.count(each.table) == 1 else f"{each.schema}__{each.table}": each for each in there}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A platform that was asked for, and on which there is no role: the call allowed that."""

    platform: str
    reason: str
    """The stable code of the denial, or of what is in the way."""
    message: str
    missing: str = ""
    """Of a denial: the smallest piece that would make it granted."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What would be granted; nothing was made."""

    granted: bool
    explanation: Explanation = Explanation()
    reason: str = ""
    """Of a denial."""
    message: str = ""
    missing: str = ""
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A login to PostgreSQL for exactly one role."""

    username: str
    password: str = field(repr=False)
    host: str
    port: int
    dbname: str
    sslmode: str
    ca_certificates: str | None = field(default=None, repr=False)
    """Who may have signed the server's certificate, in PEM; None: whom the system trusts."""


@dataclass(frozen=True, slots=True)
class KeyPairCredential:
    """A login to Snowflake for exactly one role, by a user that was made for it."""

    account: str
    user: str
    role: str
    private_key: str = field(repr=False)
    """PEM (PKCS #8, without a passphrase)."""
    host: str
    port: int
    database: str
    """The one whose schemas are governed. What the role reads is in the user's default namespace, which is another one."""
    warehouse: str
    protocol: str = "https"
    """`http`, in the clear, is for a stand-in on this machine alone."""


@dataclass(frozen=True, slots=True)
class Platform:
    name: str
    type: str
    table_count: int | None = None
    credential: Credential | KeyPairCredential | None = None
    """In the answer to a vend alone."""


@dataclass(frozen=True, slots=True)
class VendedRole:
    """A role, as the API describes it."""

    id: str
    role_name: str
    state: str
    expires_at: datetime | None
    """The role's end at the latest; None before it has one."""
    agent: Agent
    user: User
    platforms: tuple[Platform, ...]
    purpose: str | None = None
    explanation: Explanation | None = None
    """In the answer to a vend alone."""
    left_out: tuple[LeftOut, ...] = ()
    """In the answer to a vend with `allow_partial` alone."""


def on_this_machine(host: str) -> bool:
    """Whether nothing that travels there leaves this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
