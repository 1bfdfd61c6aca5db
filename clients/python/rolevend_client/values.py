"""The values of the API's requests and answers. Frozen; their repr shows no secret."""

import hashlib
import ipaddress
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True, repr=False)
class UserToken:
    """A user's token, as the identity provider issued it. It is no str and its repr hides it, so that nothing logs or stores it."""

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
    """The task of the role. Audit events and the database's list of sessions show it."""

    id: str
    intent_digest: str | None = None
    """`sha256:` and 64 hexadecimal digits."""

    @classmethod
    def of(cls, id: str, intent: str) -> Self:  # noqa: A002 - the name of the field
        """Return a task with a digest of the intent. The intent itself is not sent."""
        return cls(id, f"sha256:{hashlib.sha256(intent.encode()).hexdigest()}")


@dataclass(frozen=True, slots=True)
class AssertedUser:
    """A user without a token, for agents that are trusted to name one."""

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class User:
    issuer: str
    subject: str
    handle: str
    """The user's part of the role's name."""
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
    """The mask. If it depends on the row: `Clear where … else Hash`."""
    type: str = ""
    """The platform's name of its type."""
    comment: str = ""
    """The owner's comment: data, and never an instruction."""
    mask_meaning: str = ""
    """The shown value in words, if it is masked."""
    values: tuple[str, ...] = ()
    """All values that the platform allows, where they are few."""

    @property
    def clear(self) -> bool:
        return self.mask is None and self.shown == "Clear"


@dataclass(frozen=True, slots=True)
class Join:
    """Columns that refer to another table of the role."""

    columns: tuple[str, ...]
    schema: str
    """The schema of the other table."""
    table: str
    """The other table."""
    references: tuple[str, ...]
    """Columns of the other table, in the order of `columns`."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table that the role reads, and how."""

    schema: str
    table: str
    view: str
    """The name by which queries find it."""
    columns: tuple[Column, ...] = ()
    row_filters: tuple[str, ...] = ()
    """A row is visible if at least one of them is true. Empty: each row."""
    restrictions: tuple[str, ...] = ()
    """A row is visible only if all of them are true."""
    policies: tuple[str, ...] = ()
    """The policies that grant it."""
    platform: str = ""
    """The platform, if the role is on several; else empty."""
    stricter_for_tools: tuple[str, ...] = ()
    """On Snowflake: the tools that see less of the table than the role does, and why, one sentence each."""
    comment: str = ""
    """The owner's comment: data, and never an instruction."""
    rows: str = ""
    """The visible rows in words, with the user's own attributes; empty: every row, or the API does not say it."""
    primary_key: tuple[str, ...] = ()
    joins: tuple[Join, ...] = ()
    """Foreign keys to other tables of the role."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A policy that grants only after an approval, and that this user may know."""

    name: str
    """`namespace/name`: the `offer` of a request for it."""
    platform: str
    display: str
    """The offer in one sentence, as its owner wrote it."""
    how: str
    """Automatic: a rule approves at once, within its limits. People: people decide."""
    up_to_seconds: int
    """The longest lifetime of a role."""
    shows: str
    """The tables and columns that it shows this user."""
    purpose: str | None = None
    """The purpose that the request must state, if it states another one or none."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The grant that a denied request lacks, as far as the agent may know it. Its text is the sentence."""

    sentence: str = ""
    """The smallest missing piece, and the first offer."""
    tables: tuple[Resource, ...] = ()
    """The requested tables that are not granted, or do not exist."""
    columns: tuple[str, ...] = ()
    """The requested columns that are not granted, if the API names them."""
    offers: tuple[Offer, ...] = ()
    """The offers that show these tables, the smallest exposure first."""

    def __str__(self) -> str:
        return self.sentence

    def __bool__(self) -> bool:
        return bool(self.sentence or self.tables or self.columns or self.offers)


@dataclass(frozen=True, slots=True)
class Approval:
    """The approval of a request. It is an input of a later decision, and grants nothing by itself."""

    claim_until: datetime | None
    """The approval lapses if it is not used until then."""
    expiration_seconds: int
    """The longest lifetime of a role."""
    approved_by: tuple[str, ...] = ()
    """The people who approved, or the rule."""


@dataclass(frozen=True, slots=True)
class NeededLogin:
    """The login of the user that an offer asks for (RFC 9470)."""

    acr_values: tuple[str, ...] = ()
    """One of these authentication contexts; empty: any."""
    longest_age_seconds: int | None = None
    """The login must not be older; None: any age."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A page of rolevend on which the user confirms a request, after a login. It is for the user's browser alone."""

    url: str
    expires_at: datetime | None
    """After this time the request is Expired."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A request for an offer, as the API describes it."""

    id: str
    state: str
    """Pending: wait. Approved, Used: a role can be vended with it. All others are final."""
    offer: str
    """`namespace/name`."""
    expiration_seconds: int
    """The requested lifetime of the role."""
    reason: str = ""
    """The reason of the state, in one word."""
    message: str = ""
    """The reason of the state, for people."""
    display: str = ""
    """The offer in one sentence; empty before the request was judged."""
    digest: str = ""
    """Digest of what the offer, narrowed by the request, shows this user; empty before the request was judged."""
    approval: Approval | None = None
    confirmation: Confirmation | None = None
    """The page for the user; None: there is nothing to confirm."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The grants and their reasons."""

    tables: tuple[Table, ...] = ()
    tables_left_out: int = 0
    """The number of granted tables that are not in `tables`, because of its size."""
    functions: tuple[str, ...] = ()
    """The functions that are tools of the agent."""
    offers: tuple[Offer, ...] = ()
    """The offers that show more of these tables, or other tables, the smallest exposure first."""

    def named(self, platform: str = "") -> dict[str, Table]:
        """Return the tables by the names that the role finds them under. `platform` is one of the role's platforms."""
        return {each.view: each for each in self.tables if each.platform in ("", platform) or not platform}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A requested platform without a role, which `allow_partial` permits."""

    platform: str
    reason: str
    """The stable code of the denial or the problem."""
    message: str
    missing: Missing = Missing()
    """If it is a denial: the grant that it lacks."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision without a role: nothing was created."""

    granted: bool
    explanation: Explanation = Explanation()
    reason: str = ""
    """The code of a denial."""
    message: str = ""
    missing: Missing = Missing()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A login to PostgreSQL for one role."""

    username: str
    password: str = field(repr=False)
    host: str
    port: int
    dbname: str
    sslmode: str
    schema: str | None = None
    """The schema of the role's tables, the first one of its `search_path`; None: the API is of an earlier version."""
    ca_certificates: str | None = field(default=None, repr=False)
    """The authorities of the server's certificate, in PEM; None: the system's authorities."""


@dataclass(frozen=True, slots=True)
class KeyPairCredential:
    """A login to Snowflake for one role, as a database user created for that role."""

    account: str
    user: str
    role: str
    private_key: str = field(repr=False)
    """PEM (PKCS #8, without a passphrase)."""
    host: str
    port: int
    database: str
    """The governed database. The role's tables are in the default namespace of its user, in another database."""
    warehouse: str
    protocol: str = "https"
    """`http` (no TLS) is only for a model of Snowflake on this machine."""


@dataclass(frozen=True, slots=True)
class Platform:
    name: str
    type: str
    table_count: int | None = None
    credential: Credential | KeyPairCredential | None = None
    """Only in the answer to a vend."""


@dataclass(frozen=True, slots=True)
class VendedRole:
    """A role, as the API describes it."""

    id: str
    role_name: str
    state: str
    expires_at: datetime | None
    """The time at which the role expires; None before it is set."""
    agent: Agent
    user: User
    platforms: tuple[Platform, ...]
    purpose: str | None = None
    explanation: Explanation | None = None
    """Only in the answer to a vend."""
    left_out: tuple[LeftOut, ...] = ()
    """Only in the answer to a vend with `allow_partial`."""


def on_this_machine(host: str) -> bool:
    """True if `host` is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
