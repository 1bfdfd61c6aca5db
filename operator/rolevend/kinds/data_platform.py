"""The kind DataPlatform: a database, the namespaces that write policy for its schemas, and the agents that it admits."""

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
    """TLS of connections to the server, by the operator and by agents."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.mode != 'VerifyCA' || has(self.caSecretRef)",
            message="mode VerifyCA needs a caSecretRef: otherwise a certificate of any system authority would be accepted",
            holds=lambda tls: tls.mode != "VerifyCA" or tls.ca_secret_ref is not None,
            field="caSecretRef",
        ),
        Rule(
            cel="!has(self.caSecretRef) || self.mode in ['VerifyFull', 'VerifyCA']",
            message="caSecretRef must not be set for a mode that does not check the certificate",
            holds=lambda tls: tls.ca_secret_ref is None or tls.mode in ("VerifyFull", "VerifyCA"),
            field="caSecretRef",
        ),
    )

    mode: Literal["VerifyFull", "VerifyCA", "Require", "Disable"] = "VerifyFull"
    """The check of the server's certificate. `VerifyFull`: for `host`, signed by a trusted authority. `VerifyCA`: signed by a trusted
    authority, for any name. `Require`: any certificate; encrypted, but the server is not authenticated. `Disable`: no TLS; rows travel
    in clear text."""
    ca_secret_ref: SecretKeyRef | None = None
    """The authorities that may sign the certificate, in PEM, in a Secret in the operator's namespace. Without it: those that the
    operator's system trusts. Agents find them in the key `ca.crt` of their credential."""


class Postgres(Part):
    """One database of a PostgreSQL server, version 16 or later."""

    host: Host
    """Host name or IP address, for the operator and for the agents."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535, json_schema_extra={"format": "int32"})] = 5432
    """TCP port."""
    database: Identifier
    """Name of the database."""
    tls: PostgresTls = PostgresTls()
    """TLS of connections. Without it: `mode: VerifyFull` with the authorities of the system."""
    scram_iterations: Annotated[int, Field(strict=True, ge=1, le=100_000, json_schema_extra={"format": "int32"})] = 4096
    """Hash iterations (SCRAM-SHA-256) of each vend and each login. A vended password has 256 random bits, so fewer are as safe, and
    reduce the server's work several times; but some drivers, such as JDBC's, refuse fewer than 4096."""
    ledger: Literal["Disabled", "Joining", "Enabled"] = "Disabled"
    """The place of the records of used tokens. `Disabled`: Kubernetes keeps them, and those of roles. `Joining`: used tokens are recorded
    here and in Kubernetes. This is the step between `Disabled` and `Enabled`, in both directions. Keep it until all replicas have read it
    and all tokens that were used before have expired; on the way to `Disabled`, also until all recorded roles have ended. `Enabled`: used
    tokens are recorded here alone, and a role that the API vends to a PostgreSQL platform has its record in that platform's database
    instead of a VendedRole. At most one DataPlatform is the ledger: see the condition `Ledger`."""


class Snowflake(Part):
    """One database of a Snowflake account, of Enterprise Edition or higher."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.protocol == 'HTTPS' || (has(self.host) && self.host in ['127.0.0.1', '::1', 'localhost'])",
            message="protocol HTTP is only for a local model of Snowflake: host must be 127.0.0.1, ::1 or localhost",
            holds=lambda snowflake: snowflake.protocol == "HTTPS" or snowflake.host in ("127.0.0.1", "::1", "localhost"),
            field="protocol",
        ),
    )

    account: AccountText
    """The account identifier: `<organization>-<account>`."""
    host: Host | None = None
    """Host name for the operator and for the agents, if it differs from `<account>.snowflakecomputing.com`, for example with a private
    link."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535, json_schema_extra={"format": "int32"})] = 443
    """TCP port."""
    protocol: Literal["HTTPS", "HTTP"] = "HTTPS"
    """`HTTP`, without encryption, is only for a local model of Snowflake."""
    database: Identifier
    """Name of the database with the governed schemas, spelled as in SHOW DATABASES."""
    warehouse: Identifier
    """Name of the warehouse of vended roles. rolevend also writes their leases on it, which resumes it slightly before the agent does."""
    principal: Literal["EphemeralUser", "AgentUser"] = "EphemeralUser"
    """The user that logs in. `EphemeralUser`: a user of type SERVICE_AGENT that is created for each role, holds exactly this role, and
    is dropped with it. `AgentUser`: an item of `agents` may name an existing user of its agent, which is granted the roles; other agents
    get ephemeral users. It does not separate two people whom such an agent acts for: see the condition `Isolated`."""


class Credentials(Part):
    """The operator's two logins, as Secrets in the operator's namespace. For PostgreSQL with the keys `username` and `password`; for
    Snowflake with `username` and `private_key`, an RSA key in PEM (PKCS #8, without a passphrase): passwords are refused."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.programmerSecretRef.name != self.vendorSecretRef.name",
            message="vendorSecretRef must name another Secret than programmerSecretRef: the vending login must not administer tables",
            holds=lambda credentials: credentials.programmer_secret_ref != credentials.vendor_secret_ref,
            field="vendorSecretRef",
        ),
        Rule(
            cel="!has(self.observerSecretRef)"
            " || !(self.observerSecretRef.name in [self.programmerSecretRef.name, self.vendorSecretRef.name])",
            message="observerSecretRef must name another Secret than the operator's logins: the console must not have these",
            holds=lambda credentials: (
                credentials.observer_secret_ref not in (credentials.programmer_secret_ref, credentials.vendor_secret_ref)
            ),
            field="observerSecretRef",
        ),
    )

    programmer_secret_ref: SecretRef
    """The login that builds profiles: it administers the governed tables."""
    vendor_secret_ref: SecretRef
    """The login that vends: it can create and drop roles of existing profiles, and reads no table."""
    observer_secret_ref: SecretRef | None = None
    """The console's login, only for PostgreSQL: it reads the statements that vended roles run now, and nothing else. With it the
    installation creates the login, and without it takes it away. The operator never reads this Secret."""


class Domain(Part):
    """A namespace that writes policy for schemas."""

    namespace: Label
    """The namespace whose AccessPolicies and TagBindings apply to the schemas."""
    schemas: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=32), Distinct()]
    """Names of schemas, not patterns. If several namespaces have one, nothing of it is granted: see the condition `Owned`."""


class NamespaceSelector(Part):
    """Namespaces by their labels."""

    match_labels: Annotated[dict[Annotated[str, Field(strict=True, max_length=317)], LabelValue], Field(min_length=1, max_length=16)]
    """The namespace must have all of these labels. At least one is required, so that a platform is never open to all namespaces by
    accident. `kubernetes.io/metadata.name` is a namespace's own name."""


class RoleLimits(Part):
    """Resource limits of one role, which protect other users of the server. A change applies to new roles."""

    max_connections: Annotated[int, Field(strict=True, ge=1, le=64, json_schema_extra={"format": "int32"})] = 16
    """Maximum sessions of a role at one time. The default is enough for the default pools of usual clients, which have up to 15."""
    max_transaction_seconds: Seconds = 300
    """Maximum age of a transaction; a statement outside of one counts as one. An older one is cancelled, independent of the agent's
    `statement_timeout`, and five seconds later its session is ended. On Snowflake it is the statement timeout of the role, which a
    session can raise. An Agent may set a shorter time for its own roles."""
    max_idle_in_transaction_seconds: Seconds = 60
    """Maximum idle time inside of a transaction, before the session is ended."""
    max_temp_file_mebibytes: Annotated[int, Field(strict=True, ge=1, le=524288, json_schema_extra={"format": "int32"})] = 1024
    """Maximum temporary files of one session at one time."""
    idle_release_seconds: IdleSeconds | None = None
    """A role whose sessions were idle for this time, or that has none, is released: its agent may have crashed. Without it: a role lives
    until its expiry. An Agent may set a shorter time for its own roles."""


_OF_OURS = ("IMMUTA_VENDED_", "ROLEVEND_")


class AgentTerms(Part):
    """The limits of agents of some namespaces."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.agentUser) || (has(self.agentNames) && self.agentNames.size() == 1)",
            message="agentUser is for one agent: agentNames must name only it",
            holds=lambda terms: terms.agent_user is None or (terms.agent_names is not None and len(terms.agent_names) == 1),
            field="agentUser",
        ),
        Rule(
            cel=f"!has(self.agentUser) || '{NAME_LABEL}' in self.namespaceSelector.matchLabels",
            message="agentUser is for one agent: namespaceSelector.matchLabels must name its namespace, by kubernetes.io/metadata.name",
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
    """The only selected agents of these namespaces, by name. Without it: all of them."""
    assertions: Annotated[tuple[Assertion, ...], Field(min_length=1, max_length=8), Distinct()]
    """The permitted proofs of the user. `Trusted`: the agent asserts the user. `TokenRequired`: a token of the user names the agent.
    Each applies to Agents that declare the same; without `Trusted`, no role is vended on an agent's assertion."""
    agent_user: Identifier | None = None
    """The existing user of the account that the agent logs in as, spelled as in SHOW USERS, which is granted its roles. For one agent
    alone, by `agentNames` and its namespace's name in `namespaceSelector`, in no other item, and with `principal: AgentUser`. Without
    it: each role has a user of its own."""
    max_expiration_seconds: Seconds = 3600
    """Maximum lifetime of their roles."""
    max_live_roles: PositiveCount | None = None
    """Maximum number of roles of each agent at one time, on all platforms together. Where several items select an agent, the most
    generous one counts; an Agent may set less. Without it: on PostgreSQL the number whose `maxConnections` add up to three
    quarters of the server's connections; on Snowflake no limit."""
    attributes: Annotated[tuple[Attribute, ...], Field(max_length=32), KeyedBy(("key",))] = ()
    """The attributes of these agents on this platform, for policies to match. Where several items select an agent, values add up."""
    purposes: Annotated[tuple[Label, ...], Field(max_length=64), Distinct()] = ()
    """The purposes that these agents may state (`spec.purpose` of a VendedRole). Without any: none."""
    widest_combination: CombinationName = "UserCeiling"
    """The widest combination of these agents' own grants with the user's (`spec.combination` of an Agent). `Union`: they may read for a
    user more than the user is granted. `UserCeiling`: never more than the user is granted. `Intersection`: only data that both are
    granted."""
    role_limits: RoleLimits = RoleLimits()
    """Resource limits of each of their roles."""
    tools: ToolTerms | None = None
    """The only tools that these agents may have here. Where several items select an agent, they add up."""


_LEDGER = "(has({0}.postgres) ? {0}.postgres.ledger : 'Disabled')"


class DataPlatformSpec(Part):
    """Address, owners of schemas, and admitted agents."""

    rules: ClassVar[tuple[Rule, ...]] = (
        exactly_one("kind of platform", "postgres", "snowflake"),
        Rule(
            cel="!has(self.credentials.observerSecretRef) || has(self.postgres)",
            message="credentials.observerSecretRef is only for PostgreSQL: Snowflake shows running statements itself",
            holds=lambda spec: spec.credentials.observer_secret_ref is None or spec.postgres is not None,
            field="credentials",
        ),
        Rule(
            cel="!has(self.agents) || self.agents.all(each, !has(each.tools) || has(each.tools.snowflake) == has(self.snowflake))",
            message="agents[].tools must match the kind of platform: postgres or snowflake",
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
        Rule(
            cel=f"!([{_LEDGER.format('oldSelf')}, {_LEDGER.format('self')}] in [['Disabled', 'Enabled'], ['Enabled', 'Disabled']])",
            message="postgres.ledger must not change between Disabled and Enabled at once, or tokens could be used twice: "
            "set it to Joining, and wait until all tokens that were used before have expired",
            field="postgres",
        ),
        Rule(
            cel=f"{_LEDGER.format('oldSelf')} == 'Disabled' || {_LEDGER.format('self')} == 'Disabled'"
            " || self.postgres.database == oldSelf.postgres.database",
            message="postgres.database must not change while postgres.ledger is Joining or Enabled: the records of used tokens are in that "
            "database",
            field="postgres",
        ),
    )

    postgres: Postgres | None = None
    """A PostgreSQL database. Exactly one kind of platform must be set."""
    snowflake: Snowflake | None = None
    """A database of a Snowflake account."""
    suspend: bool = False
    """`true`: no role is vended there, and the roles there end. Everything else stays, and vends go on when it is `false` again."""
    credentials: Credentials
    table_names: Literal["Short", "Qualified"] = "Short"
    """The names by which a role finds its tables. `Short`: the table's own name; where tables of two schemas share one, each is
    `schema__table`, so that a further grant can rename a table. `Qualified`: always `schema__table`, for stored queries that must go on.
    A change ends the live roles here."""
    domains: Annotated[tuple[Domain, ...], Field(max_length=32), KeyedBy(("namespace",))] = ()
    """The namespaces that write policy for schemas. A schema without a domain is granted to nobody."""
    allow_unattested: bool = False
    """Vend even if the condition `Attested` is not True. A detected leak still closes the platform."""
    agents: Annotated[tuple[AgentTerms, ...], Field(max_length=64), Atomic()] = ()
    """The admitted agents, and their limits. Where several items select a namespace, the widest limit holds. Without an item: none."""


CheckName = Annotated[str, Field(max_length=128)]


class FailedCheck(StatusPart):
    """A guarantee that did not hold, or an attack that succeeded."""

    name: CheckName
    """The check."""
    detail: Sentence
    """The observation."""
    leaks: bool = False
    """True if a role reads or changes data, or keeps access, without a grant. Then nothing is vended there, and live roles are revoked."""


class OpenCheck(StatusPart):
    """An attack that succeeds, and that this installation of the platform cannot prevent."""

    name: CheckName
    """The check."""
    reason: Sentence
    """The reason why it cannot be prevented."""


class UntriedCheck(StatusPart):
    """A guarantee or an attack that was not tested."""

    name: CheckName
    """The check."""
    reason: Sentence
    """The reason why it was not tested."""


class Attestation(StatusPart):
    """The result of testing every guarantee and every attack with canary roles."""

    time: Timestamp
    """When it ended."""
    server_identifier: Annotated[str, Field(max_length=128)]
    """The tested server or account."""
    edition: Annotated[str, Field(max_length=128)] | None = None
    """The edition, if the platform has several."""
    server_version: Annotated[str, Field(max_length=128)]
    """The version that the server reported."""
    install_mode: Annotated[str, Field(max_length=128)]
    """The rights with which rolevend was installed."""
    rolevend_version: Annotated[str, Field(max_length=128)]
    """The version of the operator, and so of the checks."""
    request: Annotated[str, Field(max_length=256)] | None = None
    """The value of the annotation `rolevend.dev/attest` that requested it."""
    failed: Annotated[tuple[FailedCheck, ...], Field(max_length=512), Atomic()] = ()
    """The failed checks."""
    not_preventable: Annotated[tuple[OpenCheck, ...], Field(max_length=512), Atomic()] = ()
    """Attacks by an agent that cannot be prevented."""
    not_tried: Annotated[tuple[UntriedCheck, ...], Field(max_length=512), Atomic()] = ()
    """Checks that were not tested."""
    passed: Annotated[tuple[CheckName, ...], Field(max_length=512), Atomic()] = ()
    """The checks that passed."""


class DataPlatformStatus(Status):
    """The state that the operator observed. Not written by people."""

    server_identifier: Annotated[str, Field(max_length=128)] | None = None
    """The identifier of the server. If another server answers at the address, nothing is vended or dropped there, because the roles are
    on this one."""
    server_version: Annotated[str, Field(max_length=128)] | None = None
    """The version that the server reports."""
    install_mode: Literal["Superuser", "Managed"] | None = None
    """The rights with which rolevend was installed. `Managed` is without a superuser; `limitations` list the consequences."""
    hash_key_domain: Label | None = None
    """Platforms with the same name hash equal values equally, so that columns with the mask `Hash` can be joined across them. Without
    it, hashes of this platform are unique to it."""
    table_count: Count | None = None
    """Number of tables in the schemas of all domains, and in agents' own schemas."""
    attestation: Attestation | None = None
    """The newest attestation."""
    limitations: Annotated[tuple[Sentence, ...], Field(max_length=32), Atomic()] = ()
    """The limitations of this server or its installation, one sentence each."""
    drain_requested: Annotated[str, Field(max_length=64)] | None = None
    """The id of a `rolevend drain` that waits until all roles that this database records have ended."""
    drained: Annotated[str, Field(max_length=64)] | None = None
    """The id of the newest drain after which all roles that this database recorded were gone."""


class DataPlatform(Resource):
    """A database on which roles are vended. Written by the platform team."""

    kind: Literal["DataPlatform"] = "DataPlatform"
    spec: DataPlatformSpec
    status: DataPlatformStatus = DataPlatformStatus()
