"""The kind DataPlatform: a database, who owns policy for which of its schemas, and which agents may ever get there."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rolevend.kinds.part import Atomic, Distinct, KeyedBy, Part, Rule, StatusPart, exactly_one
from rolevend.kinds.shared import NAME_LABEL, Assertion, Attribute, CombinationName, Resource, SecretKeyRef, SecretRef, Status
from rolevend.kinds.text import (
    AccountText,
    Count,
    Host,
    Identifier,
    IdleSeconds,
    Label,
    LabelValue,
    ObjectReferenceName,
    PositiveCount,
    Seconds,
    Sentence,
    Timestamp,
)
from rolevend.kinds.tools import ToolTerms


class PostgresTls(Part):
    """How connections to the server are protected, those of the operator and those of the agents."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.mode != 'VerifyCA' || has(self.caSecretRef)",
            message="mode VerifyCA needs a caSecretRef: a certificate of any authority of the system would do otherwise",
            holds=lambda tls: tls.mode != "VerifyCA" or tls.ca_secret_ref is not None,
            field="caSecretRef",
        ),
        Rule(
            cel="!has(self.caSecretRef) || self.mode in ['VerifyFull', 'VerifyCA']",
            message="caSecretRef must not be set for a mode that looks at no certificate",
            holds=lambda tls: tls.ca_secret_ref is None or tls.mode in ("VerifyFull", "VerifyCA"),
            field="caSecretRef",
        ),
    )

    mode: Literal["VerifyFull", "VerifyCA", "Require", "Disable"] = "VerifyFull"
    """What the server must show. `VerifyFull`: a certificate for `host`, signed by a known authority. `VerifyCA`: one of that
    authority, for whatever name. `Require`: any certificate, so that nobody listens, and nobody knows who answers. `Disable`:
    nothing, and rows travel in the clear."""
    ca_secret_ref: SecretKeyRef | None = None
    """The authorities that may have signed the certificate, in PEM, in a Secret in the operator's namespace. Without it: those
    that the operator's system trusts. Agents find the same in the key `ca.crt` of their credential."""


class Postgres(Part):
    """One database of a PostgreSQL server, version 16 or later."""

    host: Host
    """Host name or IP address, for the operator and for the agents."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535, json_schema_extra={"format": "int32"})] = 5432
    """TCP port."""
    database: Identifier
    """Name of the database."""
    tls: PostgresTls = PostgresTls()
    """How connections are protected. Without it: as `mode: VerifyFull` with the authorities of the system."""
    scram_iterations: Annotated[int, Field(strict=True, ge=1, le=100_000, json_schema_extra={"format": "int32"})] = 4096
    """Rounds of hashing (SCRAM-SHA-256) in each vend and each login. A vended password is 256 random bits, so fewer are as safe, and make
    a vend several times cheaper for the server; but some drivers, such as JDBC's, refuse fewer than 4096."""


class Snowflake(Part):
    """One database of a Snowflake account, of Enterprise Edition or higher."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.protocol == 'HTTPS' || (has(self.host) && self.host in ['127.0.0.1', '::1', 'localhost'])",
            message="protocol HTTP is for a stand-in on this machine alone: host must be 127.0.0.1, ::1 or localhost",
            holds=lambda snowflake: snowflake.protocol == "HTTPS" or snowflake.host in ("127.0.0.1", "::1", "localhost"),
            field="protocol",
        ),
    )

    account: AccountText
    """The account identifier: `<organization>-<account>`."""
    host: Host | None = None
    """Host name for the operator and for the agents, where it is another than `<account>.snowflakecomputing.com`, as with a private
    link."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535, json_schema_extra={"format": "int32"})] = 443
    """TCP port."""
    protocol: Literal["HTTPS", "HTTP"] = "HTTPS"
    """`HTTP`, where everything travels in the clear, is for a stand-in on the operator's own machine."""
    database: Identifier
    """Name of the database whose schemas are governed, spelled as SHOW DATABASES shows it."""
    warehouse: Identifier
    """Name of the warehouse that vended roles use. Their leases are written on it, too: an agent is about to use it anyway, so this only
    moves its resume forward."""
    principal: Literal["EphemeralUser", "AgentUser"] = "EphemeralUser"
    """Who logs in. `EphemeralUser`: a user of type SERVICE_AGENT that is made for each role, holds exactly this role, and goes with
    it. `AgentUser`: an item of `agents` may name a user that its agent has already, which is granted the roles; those of other agents have
    users of their own. It keeps nothing apart between two people whom such an agent acts for: see the condition `Isolated`."""


class Credentials(Part):
    """The operator's two logins, as Secrets in the operator's namespace. For PostgreSQL with the keys `username` and `password`; for
    Snowflake with `username` and `private_key`, an RSA key in PEM (PKCS #8, without a passphrase): passwords are refused."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.programmerSecretRef.name != self.vendorSecretRef.name",
            message="vendorSecretRef must name another Secret than programmerSecretRef: whoever vends must not be able to program",
            holds=lambda credentials: credentials.programmer_secret_ref != credentials.vendor_secret_ref,
            field="vendorSecretRef",
        ),
    )

    programmer_secret_ref: SecretRef
    """The login that builds profiles: it administers the governed tables."""
    vendor_secret_ref: SecretRef
    """The login that vends: it can make and drop roles of profiles that exist, and reads no table."""


class Domain(Part):
    """A namespace that writes policy for schemas."""

    namespace: Label
    """The namespace whose AccessPolicies and TagBindings reach the schemas."""
    schemas: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=32), Distinct()]
    """Names of schemas, not patterns. Of one that is given to several namespaces nothing is granted, whoever asks: see the condition
    `Owned`."""


class NamespaceSelector(Part):
    """Namespaces by their labels."""

    match_labels: Annotated[dict[Annotated[str, Field(strict=True, max_length=317)], LabelValue], Field(min_length=1, max_length=16)]
    """Every one of them must be on the namespace. At least one: a platform for agents of all namespaces would be an accident.
    `kubernetes.io/metadata.name` is a namespace's own name."""


class RoleLimits(Part):
    """What one role may use of the server, so that no agent holds up whoever else is there. A change counts from the next role on."""

    max_connections: Annotated[int, Field(strict=True, ge=1, le=64, json_schema_extra={"format": "int32"})] = 8
    """Sessions of a role at one time."""
    max_transaction_seconds: Seconds = 300
    """The age of a transaction; a statement outside of one counts as one. What is older is cancelled, whatever `statement_timeout` the
    agent set, and five seconds later its session is ended. On Snowflake it is the timeout of the role's statements, which a session can
    raise for itself. An Agent may name a shorter time for its own roles."""
    max_idle_in_transaction_seconds: Seconds = 60
    """How long a session may wait inside of a transaction before it is ended."""
    max_temp_file_mebibytes: Annotated[int, Field(strict=True, ge=1, le=524288, json_schema_extra={"format": "int32"})] = 1024
    """What the statements of one session may write to temporary files at one time."""
    idle_release_seconds: IdleSeconds | None = None
    """A role whose sessions did nothing for so long, or that has none, counts as given back, and is ended: its agent may have
    crashed. Without it: a role lives until its expiry. An Agent may name a shorter time for its own roles."""


_OF_OURS = ("IMMUTA_VENDED_", "ROLEVEND_")


class AgentTerms(Part):
    """What agents of some namespaces may ask for here."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.agentUser) || (has(self.agentNames) && self.agentNames.size() == 1)",
            message="agentUser is of one agent: agentNames must name it alone",
            holds=lambda terms: terms.agent_user is None or (terms.agent_names is not None and len(terms.agent_names) == 1),
            field="agentUser",
        ),
        Rule(
            cel=f"!has(self.agentUser) || '{NAME_LABEL}' in self.namespaceSelector.matchLabels",
            message="agentUser is of one agent: namespaceSelector.matchLabels must name its namespace, by kubernetes.io/metadata.name",
            holds=lambda terms: terms.agent_user is None or NAME_LABEL in terms.namespace_selector.match_labels,
            field="agentUser",
        ),
        Rule(
            cel=f"!has(self.agentUser) || !{list(_OF_OURS)}.exists(ours, self.agentUser.upperAscii().startsWith(ours))",
            message="agentUser must not be a user of rolevend's own",
            holds=lambda terms: not (terms.agent_user or "").upper().startswith(_OF_OURS),
            field="agentUser",
        ),
    )

    namespace_selector: NamespaceSelector
    """The namespaces of these agents."""
    agent_names: Annotated[tuple[ObjectReferenceName, ...], Field(min_length=1, max_length=64), Distinct()] | None = None
    """The only agents of these namespaces that are meant, by name. Without it: all of them."""
    assertions: Annotated[tuple[Assertion, ...], Field(min_length=1, max_length=8), Distinct()]
    """How these agents may show for whom they act. `Trusted`: by naming the user. `TokenRequired`: by a token of the user that names the
    agent. Each counts for Agents that say the same: where `Trusted` is missing, nobody is vended a role on an agent's word."""
    agent_user: Identifier | None = None
    """The user of the account that the agent logs in as, spelled as SHOW USERS shows it, which is granted its roles. For one agent alone,
    by `agentNames` and its namespace's name in `namespaceSelector`, in no other item, and with `principal: AgentUser`. Without it: each
    role has a user of its own."""
    max_expiration_seconds: Seconds = 3600
    """The longest life of a role that is vended to them."""
    max_live_roles: PositiveCount | None = None
    """How many roles each of them may have at once, on whichever platforms. Where several items select an agent, the most generous one
    counts; an Agent may say less. Without it: on PostgreSQL so many that, each with its `maxConnections`, they take half of the server's
    connections; on Snowflake any number."""
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=32), KeyedBy(("key",))] = ()
    """What is known of these agents here, for policies to match. Where several items select an agent, values add up."""
    purposes: Annotated[tuple[Label, ...], Field(max_length=64), Distinct()] = ()
    """What these agents may say they ask for (`spec.purpose` of a VendedRole). Without any: nothing."""
    widest_combination: CombinationName = "UserCeiling"
    """How far what these agents are granted themselves may count (`spec.combination` of an Agent). `Union` lets them read for a user what
    the user is not granted. `UserCeiling`: never more than the user is granted. `Intersection`: only what both are granted."""
    role_limits: RoleLimits = RoleLimits()
    """What one role that is vended to them may use."""
    tools: ToolTerms | None = None
    """The only tools that these agents may have here. Where several items select an agent, they add up."""


class DataPlatformSpec(Part):
    """How to reach it, who owns what, and who may ever get here."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one("kind of platform", "postgres", "snowflake"),
        Rule(
            cel="!has(self.agents) || self.agents.all(each, !has(each.tools) || has(each.tools.snowflake) == has(self.snowflake))",
            message="agents[].tools must be of the kind of platform that this is: postgres or snowflake",
            holds=lambda spec: all(
                each.tools is None or (each.tools.snowflake is None) == (spec.snowflake is None) for each in spec.agents
            ),
            field="agents",
        ),
        Rule(
            cel="!has(self.agents) || !self.agents.exists(each, has(each.agentUser))"
            " || (has(self.snowflake) && self.snowflake.principal == 'AgentUser')",
            message="agents[].agentUser must not be set without snowflake.principal: AgentUser",
            holds=lambda spec: (
                not any(each.agent_user for each in spec.agents) or (spec.snowflake is not None and spec.snowflake.principal == "AgentUser")
            ),
            field="agents",
        ),
        Rule(
            cel="!has(self.agents) || self.agents.all(each, !has(each.agentUser)"
            " || self.agents.exists_one(other, has(other.agentUser) && other.agentUser == each.agentUser))",
            message="agents[].agentUser must not be the same in two items, or two agents could take each other's roles: give each agent a "
            "user of its own, in one item",
            holds=lambda spec: len(users := [each.agent_user for each in spec.agents if each.agent_user]) == len(set(users)),
            field="agents",
        ),
    )

    postgres: Postgres | None = None
    """A PostgreSQL database. Exactly one kind of platform must be set."""
    snowflake: Snowflake | None = None
    """A database of a Snowflake account."""
    credentials: Credentials
    domains: Annotated[tuple[Domain, ...], Field(max_length=32), KeyedBy(("namespace",))] = ()
    """Which namespace writes policy for which schemas. What is in nobody's domain is granted to nobody."""
    allow_unattested: bool = False
    """Vend also while the condition `Attested` is not True. A leak that was found closes the platform all the same."""
    agents: Annotated[tuple[AgentTerms, ...], Field(max_length=64), Atomic()] = ()
    """Which agents may get here, and on what terms. Where several items select a namespace, the widest term holds. Without an
    item: none."""


CheckName = Annotated[str, Field(max_length=128)]


class FailedCheck(StatusPart):
    """A promise that did not hold, or an attack that succeeded."""

    name: CheckName
    """The check."""
    detail: Sentence
    """What was seen instead."""
    leaks: bool = False
    """Whether it shows, changes or keeps what no policy grants. Then nothing is vended there, and live roles end."""


class OpenCheck(StatusPart):
    """An attack that succeeds, and that nobody can prevent on a platform that is installed like this one."""

    name: CheckName
    """The check."""
    reason: Sentence
    """Why it cannot be prevented."""


class UntriedCheck(StatusPart):
    """A promise or an attack of which nothing is known."""

    name: CheckName
    """The check."""
    reason: Sentence
    """Why it was not tried."""


class Attestation(StatusPart):
    """What came of trying every promise and every attack with canary roles."""

    time: Timestamp
    """When it ended."""
    server_identifier: Annotated[str, Field(max_length=128)]
    """The server that it is about, or the account."""
    edition: Annotated[str, Field(max_length=128)] | None = None
    """Of a platform that is sold in several."""
    server_version: Annotated[str, Field(max_length=128)]
    """What the server said of itself then."""
    install_mode: Annotated[str, Field(max_length=128)]
    """By which rights rolevend was installed then."""
    rolevend_version: Annotated[str, Field(max_length=128)]
    """Of the operator, and so of the checks."""
    request: Annotated[str, Field(max_length=256)] | None = None
    """The value of the annotation `rolevend.dev/attest` that it answers."""
    failed: Annotated[tuple[FailedCheck, ...], Field(max_length=512), Atomic()] = ()
    """What did not hold."""
    not_preventable: Annotated[tuple[OpenCheck, ...], Field(max_length=512), Atomic()] = ()
    """What an agent can do, and nobody can keep it from."""
    not_tried: Annotated[tuple[UntriedCheck, ...], Field(max_length=512), Atomic()] = ()
    """What nothing is known of."""
    passed: Annotated[tuple[CheckName, ...], Field(max_length=512), Atomic()] = ()
    """The checks that passed."""


class DataPlatformStatus(Status):
    """What the operator saw. Not written by people."""

    server_identifier: Annotated[str, Field(max_length=128)] | None = None
    """Which server it is. If another one answers at the address, nothing is vended or dropped there: the roles are on this one."""
    server_version: Annotated[str, Field(max_length=128)] | None = None
    """What the server says of itself."""
    install_mode: Literal["Superuser", "Managed"] | None = None
    """By which rights rolevend was installed there. `Managed` is without a superuser, and then `limitations` say what that leaves open."""
    hash_key_domain: Label | None = None
    """Platforms with one such name hash equal values equally, so that columns with the mask `Hash` can be joined across them.
    Without it, hashes of this platform are its own."""
    table_count: Count | None = None
    """How many tables the schemas of all domains, and those of agents' own, hold."""
    attestation: Attestation | None = None
    """The newest one."""
    limitations: Annotated[tuple[Sentence, ...], Field(max_length=32), Atomic()] = ()
    """What this server or its installation cannot do, one sentence each."""


class DataPlatform(Resource):
    """A database on which roles are vended. Written by the platform team."""

    kind: Literal["DataPlatform"] = "DataPlatform"
    spec: DataPlatformSpec
    status: DataPlatformStatus = DataPlatformStatus()
