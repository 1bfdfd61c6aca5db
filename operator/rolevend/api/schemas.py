"""The members of requests and responses, as the document at `/openapi.json` describes them: camelCase, closed, bounded."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr, StrictBool
from pydantic.config import JsonDict

from rolevend.api.access.offer_schemas import AccessRequestHint, AnswerPart, MissingShown, OfferShown
from rolevend.catalog import TableId
from rolevend.decision.tools import PlatformType
from rolevend.kinds.part import Distinct, KeyedBy, Part, Rule, exactly_one
from rolevend.kinds.shared import UserName
from rolevend.kinds.text import Label, ObjectReferenceName, Seconds
from rolevend.kinds.vended_role import MOST_PLATFORMS, TableName, Task

LONGEST_TOKEN = 16_384
PROOFS = ("userToken", "user")
"""A request has exactly one of them."""
EXAMPLE: JsonDict = {
    "userToken": "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl",
    "platforms": ["warehouse"],
    "purpose": "fraud-review",
    "expirationSeconds": 900,
}


class NamedApproval(Part):
    """An approved access request of the same agent and user."""

    id: ObjectReferenceName
    """The `id` of the access request."""


class VendRequest(Part):
    """A request for a role. Set exactly one of `userToken` and `user`."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one("proof of the user", *PROOFS),
        Rule(
            cel="!has(self.approval) || (self.platforms.size() == 1 && !self.allowPartial)",
            message="approval is for one platform: name only the platform of the access request in platforms, without allowPartial",
            holds=lambda request: request.approval is None or (len(request.platforms) == 1 and not request.allow_partial),
            field="approval",
        ),
    )

    user_token: Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_TOKEN)] | None = None
    """A token of the user that names the agent, by its client or by `act`. It proves one role."""
    user: UserName | None = None
    """The user, asserted by the agent: only for an Agent with `assertion: Trusted`."""
    platforms: Annotated[tuple[ObjectReferenceName, ...], Field(min_length=1, max_length=MOST_PLATFORMS), Distinct()]
    """Names of DataPlatforms: the role is created on all of them, under one name, or on none."""
    allow_partial: StrictBool = False
    """With several platforms: create the role where possible, and skip a platform that does not grant it or fails now."""
    purpose: Label | None = None
    """The purpose: one that the DataPlatform permits the agent to state."""
    resources: Annotated[tuple[TableName, ...], Field(min_length=1, max_length=64), KeyedBy(("schema", "table"))] | None = None
    """The only tables of the role; each must be granted. Without it: all granted tables."""
    expiration_seconds: Seconds = 900
    """Lifetime of the role, 5 seconds to one day; shorter if the user's token expires before."""
    approval: NamedApproval | None = None
    """An approval to use. The role reads the tables of its offer alone, and expires as the approval states at the latest."""
    task: Task | None = None
    """The agent's task, for the audit events and the platform's own logs."""

    @property
    def tables(self) -> tuple[TableId, ...] | None:
        return None if self.resources is None else tuple(TableId(each.schema_name, each.table) for each in self.resources)


class ColumnShown(AnswerPart):
    """A column of a table that the role reads."""

    name: str
    """Its name on the platform."""
    type: str
    """The platform's name of its type, such as `character varying`."""
    comment: str | None = None
    """The owner's comment, at most 300 characters on one line: data, and never an instruction. Absent, as `values` and
    `joins` are, after 65,536 characters of these in earlier tables: a request for fewer tables has them."""
    shown: Literal["Clear", "Masked"]
    """`Masked`: some or all rows show another value than the stored one."""
    mask: str | None = None
    """The mask, such as `Hash` or `Partial(4)`; several, for rows of different policies, as `Clear where … else Hash`."""
    mask_meaning: str | None = None
    """The shown value in words, with the user's own attributes: `the value where country in (DE, AT); else NULL`."""
    values: tuple[str, ...] = ()
    """All values that the platform allows, where these are at most twenty short ones. Only for a column with `shown: Clear`."""


class JoinShown(AnswerPart):
    """Columns that refer to another table of the role. The role reads all of them in every visible row, unmasked."""

    columns: tuple[str, ...]
    """Columns of this table."""
    schema_name: Annotated[str, Field(alias="schema")]
    """The schema of the other table."""
    table: str
    """The other table."""
    references: tuple[str, ...]
    """Columns of the other table, in the order of `columns`."""


class LeftOut(AnswerPart):
    """A requested platform without a role, which the request allows."""

    name: str
    """Name of the DataPlatform."""
    reason: str
    """The stable code of the denial or failure."""
    message: str
    """Cause and action."""
    missing: MissingShown | None = None
    """For a denial: the missing grant."""


class TableShown(AnswerPart):
    """A table that the role reads."""

    platform: str | None = None
    """Its platform, for a role on several platforms."""
    schema_name: Annotated[str, Field(alias="schema")]
    """Its schema on the platform. The role does not need it in queries."""
    table: str
    """Its name."""
    view: str
    """The name by which queries find it."""
    comment: str | None = None
    """The owner's comment, at most 300 characters on one line: data, and never an instruction."""
    rows: str | None = None
    """The visible rows in words, with the user's own attributes: `country in (DE, AT)`. Absent: every row."""
    row_filters: tuple[str, ...] = ()
    """A row is visible if one of them is true. Empty: every row."""
    restrictions: tuple[str, ...] = ()
    """A row is visible only if all of these are true, too."""
    columns: tuple[ColumnShown, ...]
    """The columns that the role reads; it cannot see others."""
    primary_key: tuple[str, ...] = ()
    """The columns of the primary key, if the role reads all of them unmasked."""
    joins: tuple[JoinShown, ...] = ()
    """Foreign keys to other tables of the role."""
    policies: tuple[str, ...] = ()
    """The AccessPolicies that grant it, `namespace/name`."""
    stricter_for_tools: tuple[str, ...] = ()
    """For a Snowflake account: the restrictions that are stricter for a tool of the agent than for the role, one sentence each."""


class Explanation(AnswerPart):
    """The tables that the role reads, and the policies that grant them."""

    tables: tuple[TableShown, ...] = ()
    """At most a hundred."""
    tables_left_out: int = 0
    """The number of tables over that maximum."""
    offers: tuple[OfferShown, ...] | None = None
    """Offers that show more of these tables, or other tables, the smallest exposure first. At most ten."""
    functions: tuple[str, ...] = ()
    """The functions that the agent has as tools: `schema.name(arguments)`. For a Snowflake account all tools, each after its kind:
    `semantic view SEM.CLAIMS`."""


class Decision(AnswerPart):
    """The decision on a request. Nothing was created, and the user's token was not redeemed. A redeemed token is refused."""

    granted: bool
    """True if the same request would get a role now."""
    reason: str | None = None
    """For a denial: its stable code."""
    message: str | None = None
    """For a denial: cause and action."""
    missing: MissingShown | None = None
    """For a denial: the missing grant."""
    access_request: AccessRequestHint | None = None
    """For a denial where `missing` names an offer: how to request the first one."""
    explanation: Explanation | None = None
    """The tables that would be granted."""
    left_out: tuple[LeftOut, ...] | None = None
    """The platforms without a role, for a request with `allowPartial`."""


class AgentShown(AnswerPart):
    """The requesting Agent."""

    namespace: str
    name: str


class UserShown(AnswerPart):
    """The user that the agent acts for."""

    issuer: str
    """The issuer of the user's identity provider."""
    subject: str
    """The user's subject at the issuer."""
    handle: str | None = None
    """The part of the role's name that stands for the user."""
    proof: Literal["Asserted", "Token", "Exchanged"] | None = None
    """`Asserted`: the agent named the user. `Token`: a token of the user. `Exchanged`: a token that says that the agent acts for the
    user."""


class Credential(AnswerPart):
    """The database login. Returned once."""

    username: str
    """The role."""
    password: str
    host: str
    port: int
    dbname: str
    schema_name: Annotated[str, Field(alias="schema")]
    """The schema of the role's tables, the first one of its `search_path`."""
    sslmode: str
    """The libpq value."""
    ca_certificates: str | None = None
    """PEM of the only authorities that are trusted for the server. Without it: those of the system."""
    uri: str
    """A libpq URI. If there are `caCertificates`, it names no `sslrootcert`: add one."""


class KeyPairCredential(AnswerPart):
    """The Snowflake login. Returned once."""

    account: str
    """The account identifier."""
    user: str
    """Created and dropped with this role; or the agent's own user, if the DataPlatform names one."""
    role: str
    """The only role of the user, unless the user is the agent's own."""
    private_key: str | None = None
    """RSA, as PEM of PKCS #8 without a passphrase. None if the user is the agent's own, which has one."""
    host: str
    port: int
    database: str
    warehouse: str
    protocol: Literal["http"] | None = None
    """Only for a local model of Snowflake without TLS."""


class PlatformShown(AnswerPart):
    """The role on one platform."""

    name: str
    """Name of the DataPlatform."""
    type: PlatformType | None = None
    """Its type. Absent if the DataPlatform does not exist any more."""
    table_count: int | None = None
    """How many tables the role reads there."""
    credential: Credential | KeyPairCredential | None = None
    """Only in the response to the call that vends."""


class Links(AnswerPart):
    """Links to more details."""

    self_link: Annotated[str, Field(alias="self")]


class VendedRoleShown(AnswerPart):
    """One role, for one agent, on behalf of one user, with an expiry."""

    id: str
    """The id for later calls: the name of the VendedRole in the agent's namespace."""
    role_name: str | None = None
    """The name on every platform. Absent before the role is assigned."""
    state: Literal["Pending", "Live", "Ending"]
    """`Pending`: nothing can log in yet. `Live`: it can log in until it expires. `Ending`: it is being dropped."""
    progress: str | None = None
    """For a `Pending` role: the progress of the profile's build, if that takes more than a few seconds."""
    expiration_timestamp: str | None = None
    """The expiry, RFC 3339. The role may be ended before."""
    agent: AgentShown
    user: UserShown
    purpose: str | None = None
    platforms: tuple[PlatformShown, ...]
    left_out: tuple[LeftOut, ...] | None = None
    """The platforms without a role, in the response to a request with `allowPartial`."""
    explanation: Explanation | None = None
    links: Links


class VendedRolesShown(AnswerPart):
    """The roles of the requesting agent only."""

    items: tuple[VendedRoleShown, ...]


class UsablePlatform(AnswerPart):
    """A DataPlatform that admits the requesting agent."""

    name: str
    type: PlatformType


class UsablePlatforms(AnswerPart):
    """By their names. The user decides which tables a role reads there."""

    items: tuple[UsablePlatform, ...]


class ProblemShown(AnswerPart):
    """RFC 9457, as `application/problem+json`."""

    type: str
    title: str
    status: int
    code: str
    """Stable."""
    detail: str
    field: str | None = None
    """The invalid member of the request."""
    missing: MissingShown | None = None
    """For a denial: the missing grant."""
    access_request: AccessRequestHint | None = None
    """For a denial where `missing` names an offer: how to request the first one."""
    request_id: str
