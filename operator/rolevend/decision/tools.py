"""The tools of an agent, the same for every user: functions, its own schemas, objects of an account. Pure.

An agent gets a tool if the platform team permits it and the tool cannot bypass policies. In a table that a tool reads directly, some
restrictions are stricter than the grant; they are named for a profile, and for one policy.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from rolevend.catalog import Function, FunctionId, Table, TableId, Tool, ToolId, ToolKind, matches
from rolevend.model import ObjectName
from rolevend.plan import Profile
from rolevend.policy.bitmap import union
from rolevend.policy.policy_compiler import CompiledPolicy
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.statement import ColumnSelector, Policy, TableSelector
from rolevend.policy.table_policy import of_one_grant, table_policy

T = TypeVar("T")


PlatformType = Literal["PostgreSQL", "Snowflake"]
POSTGRESQL: Final = "PostgreSQL"
SNOWFLAKE: Final = "Snowflake"
_FIELDS: Final[Mapping[PlatformType, str]] = {POSTGRESQL: "postgres", SNOWFLAKE: "snowflake"}


@dataclass(frozen=True, slots=True, order=True)
class FunctionName:
    """All functions of this name. In the platform's list, `*` matches any run of characters."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Tools:
    functions: frozenset[FunctionName] = frozenset()
    schemas: frozenset[str] = frozenset()
    objects: frozenset[ToolId] = frozenset()
    """Objects of a Snowflake account, by full name."""

    def __or__(self, other: "Tools") -> "Tools":
        return Tools(self.functions | other.functions, self.schemas | other.schemas, self.objects | other.objects)

    def unsupported(self, kind: PlatformType) -> list[str]:
        """Return the tools that a platform of this kind does not have, each with its name."""
        if kind == SNOWFLAKE:
            return [*(f"function {each}" for each in sorted(self.functions)), *(f"schema {each}" for each in sorted(self.schemas))]
        return [str(each) for each in sorted(self.objects)]


@dataclass(frozen=True, slots=True)
class ToolRefusal:
    """A requested tool that the agent does not get."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Permitted:
    """The requested tools that an agent may have, if they exist and cannot bypass policies."""

    tools: Tools = Tools()
    refusals: tuple[ToolRefusal, ...] = ()


def permitted(
    wanted: Tools, maximum: Tools, owners: Mapping[str, str], platform: str, *, adds: bool, kind: PlatformType = POSTGRESQL
) -> Permitted:
    """Return the permitted tools. `maximum` are those that the platform permits. `owners` names the owner of each schema of a domain, which
    only policies grant. `adds`: the agent's own grants add to the user's; without this it has no schema of its own."""
    if unsupported := wanted.unsupported(kind):
        cause = f"DataPlatform {platform} is of {kind}, which has no {unsupported[0]}: name the tools under {_FIELDS[kind]}"
        return Permitted(refusals=(ToolRefusal("NotPermitted", cause),))

    def refusal(what: str, schema: str, *, allowed: bool) -> ToolRefusal | None:
        if schema in owners:
            return ToolRefusal("NotPermitted", f"{what} is in the domain of {owners[schema]}, which only policies grant")
        if not allowed:
            cause = f"DataPlatform {platform} does not let the agent have {what}; see the tools in its spec.agents"
            return ToolRefusal("NotPermitted", cause)
        return None

    def refusal_of_schema(schema: str) -> ToolRefusal | None:
        refused = refusal(f"schema {schema}", schema, allowed=schema in maximum.schemas)
        if refused is None and not adds:
            cause = "would add to what the user is granted, which takes the combination Union; see the widestCombination"
            return ToolRefusal("NotPermitted", f"schema {schema} {cause} in the spec.agents of DataPlatform {platform}")
        return refused

    functions = {
        each: refusal(f"function {each}", each.schema, allowed=any(_covers(pattern, each) for pattern in maximum.functions))
        for each in sorted(wanted.functions)
    }
    schemas = {each: refusal_of_schema(each) for each in sorted(wanted.schemas)}
    # Objects in the schema of a domain are allowed: policies still grant the tables that they read.
    objects = {each: refusal(str(each), "", allowed=each in maximum.objects) for each in sorted(wanted.objects)}
    return Permitted(
        Tools(_given(functions), _given(schemas), _given(objects)),
        tuple(refused for refused in (*functions.values(), *schemas.values(), *objects.values()) if refused is not None),
    )


def _given(refusals: Mapping[T, ToolRefusal | None]) -> frozenset[T]:
    return frozenset(each for each, refused in refusals.items() if refused is None)


def _covers(pattern: FunctionName, name: FunctionName) -> bool:
    return pattern.schema == name.schema and matches(pattern.name, name.name)


def functions_of(tools: Tools, there: Iterable[Function]) -> tuple[FunctionId, ...]:
    """Return the usable functions of `there` that the tools name, sorted."""
    return tuple(sorted(each.id for each in there if FunctionName(each.id.schema, each.id.name) in tools.functions and not each.obstacle))


def refused_functions(tools: Tools, there: Collection[Function]) -> Iterator[ToolRefusal]:
    """Return each function of the tools that `functions_of` leaves out, with the reason."""
    for name in sorted(tools.functions):
        found = [each for each in there if (each.id.schema, each.id.name) == (name.schema, name.name)]
        if not found:
            yield ToolRefusal("ToolMissing", f"there is no function {name}")
        yield from (ToolRefusal("ToolRefused", f"function {each.id} {each.obstacle}") for each in found if each.obstacle)


def tools_within(tools: Tools, there: Iterable[Tool], asked: Collection[TableId] | None) -> tuple[Tool, ...]:
    """Return the usable objects of `there` that the tools name, sorted. `asked` are the only tables of the role; None: all."""
    given = (each for each in there if each.id in tools.objects and not each.obstacle and not beyond(each, asked))
    return tuple(sorted(given, key=lambda tool: tool.id))


def beyond(tool: Tool, asked: Collection[TableId] | None) -> str | None:
    """Return the reason why a role for the tables `asked` does not have the tool, or None.

    A lease hides other tables, but not copies of them.
    """
    others = [table for table, _ in tool.copies if asked is not None and table not in asked]
    return f"shows a copy of {others[0]}, which is not asked for" if others else None


def refused_tools(tools: Tools, there: Collection[Tool], tables: Mapping[TableId, Table]) -> Iterator[ToolRefusal]:
    """Return the tools that no user gets, with the reason. `tables` are those that can be granted."""
    known = {each.id: each for each in there}
    for each in sorted(tools.objects):
        found = known.get(each)
        if found is None:
            yield ToolRefusal("ToolMissing", f"there is no {each}, or the operator may not see it{_hint(each)}")
        elif found.obstacle:
            yield ToolRefusal("ToolRefused", f"{each} {found.obstacle}")
        else:
            for table in found.tables:
                if table not in tables:
                    yield ToolRefusal("ToolRefused", f"{each} reads {table}, which no domain governs: add its schema to spec.domains")
                elif tables[table].obstacle:
                    yield ToolRefusal("ToolRefused", f"{each} reads {table}, which {tables[table].obstacle}")


def _hint(tool: ToolId) -> str:
    return "" if tool.kind is ToolKind.DATABASE_ROLE else ": plan and install again, which lets it"


def own_tables(agent: ObjectName, schemas: frozenset[str]) -> Policy:
    """Return a policy statement for the tables of an agent's own schemas. Guardrails apply to it as to any policy."""
    return Policy(
        id=name_of_own(agent),
        schemas=schemas,
        users=(),
        tables=TableSelector(names=(TableId("*", "*"),)),
        columns=ColumnSelector(names=("*",)),
        row_filter=None,
        grants_to=GrantTarget.AGENTS,
        agent=agent,
    )


def name_of_own(agent: ObjectName) -> ObjectName:
    """Return a name that no AccessPolicy can have."""
    return ObjectName(f"Agent {agent.namespace}", agent.name)


def _read_by(tools: Iterable[Tool]) -> list[TableId]:
    return sorted({table for tool in tools for table in tool.reads})


def stricter_in_profile(profile: Profile, tables: Mapping[TableId, Table]) -> dict[TableId, tuple[str, ...]]:
    """Return the stricter restrictions by table, one sentence each. `tables` has every table that a tool of the profile reads."""
    shapes = {shape.table: shape for shape in profile.tables}
    return {table: table_policy(shapes[table], tables[table].columns).stricter for table in _read_by(profile.tools)}


def stricter_in_policy(policy: CompiledPolicy, tables: Sequence[Table], tools: Iterable[Tool]) -> Iterator[str]:
    """The same for one policy alone. `tables` are those of the policy's index, sorted by id."""
    granted = union(each.tables for each in policy.grant_sets)
    for name in _read_by(tools):
        place = bisect_left(tables, name, key=lambda table: table.id)
        if granted >> place & 1 and tables[place].id == name:
            grant = policy.grant(tables[place])
            yield from of_one_grant(grant.condition, dict(grant.masks), tables[place]).stricter
