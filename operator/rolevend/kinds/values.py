"""Convert parsed objects to values of the core. Pure; other inputs are arguments."""

from collections.abc import Iterable, Iterator

from rolevend.catalog import TableId, ToolId, ToolKind
from rolevend.decision.tools import POSTGRESQL, SNOWFLAKE, FunctionName, PlatformType, Tools
from rolevend.errors import InvalidInput
from rolevend.kinds.agent import Agent
from rolevend.kinds.data_platform import DataPlatform, Postgres, Snowflake
from rolevend.kinds.data_platform import RoleLimits as SpelledLimits
from rolevend.kinds.shared import Attribute, Resource, UserName
from rolevend.kinds.tools import SnowflakeTools, ToolTerms
from rolevend.kinds.user_attributes import UserAttributes
from rolevend.kinds.vended_role import VendedRole
from rolevend.model import AgentHandle, Attributes, ObjectName, PlatformName, Uid, User, UserHandle, Version
from rolevend.plan import RoleLimits
from rolevend.platforms.protocol import Account, Address, Tls, TlsMode


def object_name(resource: Resource) -> ObjectName:
    return ObjectName(resource.namespace, resource.name)


def version(resource: Resource) -> Version:
    name = f"{resource.namespace}/{resource.name}".removeprefix("/")
    return Version(resource.kind, name, Uid(resource.uid), resource.generation)


def user(name: UserName) -> User:
    return User(name.issuer, name.subject)


def attributes(spelled_out: Iterable[Attribute]) -> Attributes:
    return Attributes.of((attribute.key, attribute.values) for attribute in spelled_out)


def known_user(resource: UserAttributes) -> tuple[User, UserHandle | None, Attributes]:
    """Return the user, the configured handle or None, and the attributes."""
    spec = resource.spec
    return user(spec.user), None if spec.handle is None else UserHandle(spec.handle), attributes(spec.attributes)


def agent_of(role: VendedRole) -> ObjectName:
    """Return the Agent of a VendedRole, always in its own namespace."""
    return ObjectName(role.namespace, role.spec.agent_ref.name)


def resources(role: VendedRole) -> tuple[TableId, ...] | None:
    """Return the only requested tables, or None."""
    asked = role.spec.resources
    return None if asked is None else tuple(TableId(each.schema_name, each.table) for each in asked)


def agent_handle(agent: Agent) -> AgentHandle:
    return AgentHandle(agent.spec.handle)


def agent_tools(agent: Agent) -> dict[PlatformName, Tools]:
    """Return the requested tools by platform."""
    asked: dict[PlatformName, Tools] = {}
    for each in agent.spec.tools:
        name = PlatformName(each.platform_ref.name)
        asked[name] = asked.get(name, Tools()) | tools(each)
    return asked


def tools(spelled_out: ToolTerms | None) -> Tools:
    if spelled_out is not None and spelled_out.snowflake is not None:
        return Tools(objects=frozenset(_objects(spelled_out.snowflake)))
    postgres = spelled_out.postgres if spelled_out else None
    if postgres is None:
        return Tools()
    functions = frozenset(FunctionName(each.schema_name, each.name) for each in postgres.functions or ())
    return Tools(functions, frozenset(postgres.schemas or ()))


def _objects(spelled_out: SnowflakeTools) -> Iterator[ToolId]:
    yield from (ToolId(ToolKind.WAREHOUSE, each) for each in spelled_out.warehouses or ())
    yield from (ToolId(ToolKind.SEMANTIC_VIEW, each.name, each.schema_name) for each in spelled_out.semantic_views or ())
    yield from (ToolId(ToolKind.PROCEDURE, each.name, each.schema_name, each.arguments) for each in spelled_out.procedures or ())
    yield from (ToolId(ToolKind.SEARCH_SERVICE, each.name, each.schema_name) for each in spelled_out.search_services or ())
    yield from (ToolId(ToolKind.DATABASE_ROLE, each) for each in spelled_out.database_roles or ())


def type_of(platform: DataPlatform) -> PlatformType:
    return POSTGRESQL if platform.spec.snowflake is None else SNOWFLAKE


_TLS_MODES = {
    "VerifyFull": TlsMode.VERIFY_FULL,
    "VerifyCA": TlsMode.VERIFY_CA,
    "Require": TlsMode.REQUIRE,
    "Disable": TlsMode.DISABLE,
}


def address(platform: DataPlatform, authority: str | None = None) -> Address:
    """Return the login address of the platform's roles. `authority` is the content of its `caSecretRef`, if it has one."""
    postgres = postgres_of(platform)
    return Address(postgres.host, postgres.port, postgres.database, Tls(_TLS_MODES[postgres.tls.mode], authority))


def postgres_of(platform: DataPlatform) -> Postgres:
    if platform.spec.postgres is None:
        raise InvalidInput("spec.postgres", "must be set: this works only on PostgreSQL")
    return platform.spec.postgres


def account(snowflake: Snowflake) -> Account:
    """Return the login address of the account's roles."""
    return Account(
        identifier=snowflake.account,
        host=snowflake.host or f"{snowflake.account.lower().replace('_', '-')}.snowflakecomputing.com",
        port=snowflake.port,
        database=snowflake.database,
        warehouse=snowflake.warehouse,
        encrypted=snowflake.protocol == "HTTPS",
    )


def schemas_of(platform: DataPlatform) -> dict[str, frozenset[str]]:
    """Return by namespace the schemas of its domain that no other namespace has."""
    disputed = frozenset(contested(platform))
    return {domain.namespace: frozenset(domain.schemas) - disputed for domain in platform.spec.domains}


def contested(platform: DataPlatform) -> dict[str, tuple[str, ...]]:
    """Return by schema the several namespaces that claim it. No policy applies to such a schema."""
    owners: dict[str, list[str]] = {}
    for domain in platform.spec.domains:
        for schema in domain.schemas:
            owners.setdefault(schema, []).append(domain.namespace)
    return {schema: tuple(sorted(names)) for schema, names in owners.items() if len(names) > 1}


def governed(platform: DataPlatform) -> frozenset[str]:
    """Return the schemas of all domains."""
    return frozenset(schema for domain in platform.spec.domains for schema in domain.schemas)


def own_schemas(platform: DataPlatform) -> frozenset[str]:
    """Return the schemas whose tables agents may have as their own."""
    return _most_tools(platform).schemas - governed(platform)


def function_schemas(platform: DataPlatform) -> frozenset[str]:
    """Return the schemas whose functions agents may have."""
    return frozenset(each.schema for each in _most_tools(platform).functions) - governed(platform)


def objects(platform: DataPlatform) -> frozenset[ToolId]:
    """Return the objects of the account that agents may have."""
    return _most_tools(platform).objects


def _most_tools(platform: DataPlatform) -> Tools:
    most = Tools()
    for terms in platform.spec.agents:
        most |= tools(terms.tools)
    return most


def role_limits(spelled_out: SpelledLimits) -> RoleLimits:
    return RoleLimits(
        connections=spelled_out.max_connections,
        transaction_seconds=spelled_out.max_transaction_seconds,
        idle_transaction_seconds=spelled_out.max_idle_in_transaction_seconds,
        temp_file_mebibytes=spelled_out.max_temp_file_mebibytes,
        idle_seconds=spelled_out.idle_release_seconds,
    )
