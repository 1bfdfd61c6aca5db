"""The members of calls and answers, as the document at `/openapi.json` describes them: camelCase, closed, bounded."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, SecretStr, StrictBool
from pydantic.config import JsonDict

from rolevend.catalog import TableId
from rolevend.decision.tools import PlatformType
from rolevend.kinds.part import Distinct, KeyedBy, Part, Rule, exactly_one
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import Label, ObjectReferenceName, Seconds
from rolevend.kinds.vended_role import MOST_PLATFORMS, TableName, Task

LONGEST_TOKEN = 16_384
PROOFS = ("userToken", "user")
"""Exactly one of them is in a question."""
EXAMPLE: JsonDict = {
    "userToken": "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl",
    "platforms": ["warehouse"],
    "purpose": "fraud-review",
    "expirationSeconds": 900,
}


class VendRequest(Part):
    """For whom, and on what. One of `userToken` and `user`."""

    rules: ClassVar[tuple[Rule, ...]] = (exactly_one("proof of the user", *PROOFS),)

    user_token: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_TOKEN)] | None = None
    """A token of the person that names the agent, by its client or by `act`. It proves one role."""
    user: UserName | None = None
    """The person, by the agent's word: only for an Agent with `assertion: Trusted`."""
    platforms: Annotated[tuple[ObjectReferenceName, ...], Field(min_length=1, max_length=MOST_PLATFORMS), Distinct()]
    """Names of DataPlatforms: the role is made on all of them, under one name, or on none."""
    allow_partial: StrictBool = False
    """With several platforms: whether the role is made where it can be, and left out where it is not granted or fails just now."""
    purpose: Label | None = None
    """What it is for: one of those that the DataPlatform lets the agent say."""
    resources: Annotated[tuple[TableName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "table"))] | None = None
    """The only tables that are asked for; each must be granted. Without it: all that are."""
    expiration_seconds: Seconds = 900
    """How long the role lives, 5 seconds to one day; shorter where the user's token ends before."""
    task: Task | None = None
    """What the agent works on, for the record and for the platform's own logs."""

    @property
    def tables(self) -> tuple[TableId, ...] | None:
        return None if self.resources is None else tuple(TableId(each.schema_name, each.table) for each in self.resources)


class Shown(Part):
    """What a call answers with."""

    model_config = ConfigDict(extra="ignore")


class ColumnShown(Shown):
    """A column of a table that the role reads."""

    name: str
    """As on the platform."""
    shown: Literal["Clear", "Masked"]
    """`Masked`: in some rows, or in all, something else is shown than what is there."""
    mask: str | None = None
    """What is shown instead, such as `Hash` or `Partial(4)`; several, for rows of different policies, as `Clear where … else Hash`."""


class LeftOut(Shown):
    """A platform that was asked for, and on which there is no role: the call allows that."""

    name: str
    """Of the DataPlatform."""
    reason: str
    """The stable code of the denial, or of what is in the way."""
    message: str
    """Why, and the way out."""
    missing: str | None = None
    """Of a denial: the smallest thing that would have to be granted."""


class TableShown(Shown):
    """A table that the role reads."""

    platform: str | None = None
    """Where it is, of a role on several platforms."""
    schema_name: Annotated[str, Field(alias="schema")]
    """Where it is on the platform. The role finds it without that."""
    table: str
    """Its name."""
    row_filters: tuple[str, ...] = ()
    """A row is shown if one of them holds. Empty: every row."""
    restrictions: tuple[str, ...] = ()
    """And only if all of these hold, too."""
    columns: tuple[ColumnShown, ...]
    """Those that it reads; the others are not there for it."""
    policies: tuple[str, ...] = ()
    """The AccessPolicies that grant it, `namespace/name`."""
    stricter_for_tools: tuple[str, ...] = ()
    """Of a Snowflake account: where a tool of the agent sees less of it than the role does, and why, one sentence each."""


class Explanation(Shown):
    """What the role reads, and by which policies."""

    tables: tuple[TableShown, ...] = ()
    """At most a hundred."""
    tables_left_out: int = 0
    """How many more there are."""
    functions: tuple[str, ...] = ()
    """The functions that the agent has as tools: `schema.name(arguments)`. Of a Snowflake account all tools, each after its kind:
    `semantic view SEM.CLAIMS`."""


class Decision(Shown):
    """What would be granted. Nothing was made, and the user's token can still prove a role; one that cannot any more is refused."""

    granted: bool
    """Whether the same question would be given a role now."""
    reason: str | None = None
    """Of a denial: its stable code."""
    message: str | None = None
    """Of a denial: why, and the way out."""
    missing: str | None = None
    """Of a denial: the smallest thing that would have to be granted."""
    explanation: Explanation | None = None
    """What would be granted."""
    left_out: tuple[LeftOut, ...] | None = None
    """Where there would be no role, of a call with `allowPartial`."""


class AgentShown(Shown):
    """The Agent that asked."""

    namespace: str
    name: str


class UserShown(Shown):
    """The person whom it acts for."""

    issuer: str
    """The identity provider that names them."""
    subject: str
    """Who they are there."""
    handle: str | None = None
    """As in the role's name."""
    proof: Literal["Asserted", "Token", "Exchanged"] | None = None
    """`Asserted`: by the agent's word. `Token`: by a token of theirs. `Exchanged`: by one that says that it acts for them."""


class Credential(Shown):
    """How to log in, told once."""

    username: str
    """The role."""
    password: str
    host: str
    port: int
    dbname: str
    sslmode: str
    """As libpq calls it."""
    ca_certificates: str | None = None
    """PEM of the only authorities that may vouch for the server. Without it: those of the system."""
    uri: str
    """As libpq takes it; `sslrootcert` is to be added where there are `caCertificates`."""


class KeyPairCredential(Shown):
    """How to log in to Snowflake, told once."""

    account: str
    """The account identifier."""
    user: str
    """Made for this role, and gone with it. Or the agent's own, where the DataPlatform names one."""
    role: str
    """The only role that the user has, unless it is the agent's own."""
    private_key: str | None = None
    """RSA, as PEM of PKCS #8 without a passphrase. None where the user is the agent's own, which has one."""
    host: str
    port: int
    database: str
    warehouse: str
    protocol: Literal["http"] | None = None
    """Only of a stand-in for Snowflake on this machine, which speaks it in the clear."""


class PlatformShown(Shown):
    """The role on one platform."""

    name: str
    """Of the DataPlatform."""
    type: PlatformType | None = None
    """What it is. Not there where there is no such DataPlatform any more."""
    table_count: int | None = None
    """How many tables it reads there."""
    credential: Credential | KeyPairCredential | None = None
    """In the answer to the call that vends, and nowhere else."""


class Links(Shown):
    """Where to ask for more."""

    self_link: Annotated[str, Field(alias="self")]


class VendedRoleShown(Shown):
    """One role, for one agent, on behalf of one person, until one moment."""

    id: str
    """By which it is looked at and released: the name of the VendedRole in the agent's namespace."""
    role_name: str | None = None
    """The name on every platform. Not there before anything is made."""
    state: Literal["Pending", "Live", "Ending"]
    """`Pending`: nothing can log in yet. `Live`: it can log in until it expires. `Ending`: it is being taken away."""
    progress: str | None = None
    """Of a `Pending` one: how far what it is granted is made ready on the platform, where that takes more than a few seconds."""
    expiration_timestamp: str | None = None
    """When it stops working, if nothing ends it before; RFC 3339."""
    agent: AgentShown
    user: UserShown
    purpose: str | None = None
    platforms: tuple[PlatformShown, ...]
    left_out: tuple[LeftOut, ...] | None = None
    """Where there is none, in the answer to a call with `allowPartial`."""
    explanation: Explanation | None = None
    links: Links


class VendedRolesShown(Shown):
    """The roles of the agent that asks, and of no other."""

    items: tuple[VendedRoleShown, ...]


class ProblemShown(Shown):
    """RFC 9457, as `application/problem+json`."""

    type: str
    title: str
    status: int
    code: str
    """Stable."""
    detail: str
    field: str | None = None
    """The member of the call that is to blame."""
    missing: str | None = None
    """Of a denial: the smallest thing that would have to be granted."""
    request_id: str
