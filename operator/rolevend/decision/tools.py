"""What an agent has whoever it acts for: functions, schemas of its own, and what it uses of an account, as far as the platform team permits
them and they are no way around policies. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from rolevend.catalog import Function, FunctionId, Table, TableId, Tool, ToolId, ToolKind, matches
from rolevend.model import ObjectName
from rolevend.policy.combination import GrantTarget
from rolevend.policy.statement import ColumnSelector, Policy, TableSelector

T = TypeVar("T")


PlatformType = Literal["PostgreSQL", "Snowflake"]
POSTGRESQL: Final = "PostgreSQL"
SNOWFLAKE: Final = "Snowflake"
_FIELDS: Final[Mapping[PlatformType, str]] = {POSTGRESQL: "postgres", SNOWFLAKE: "snowflake"}


@dataclass(frozen=True, slots=True, order=True)
class FunctionName:
    """All functions of this name; on the platform's side `*` in it matches any run of characters."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Tools:
    functions: frozenset[FunctionName] = frozenset()
    schemas: frozenset[str] = frozenset()
    objects: frozenset[ToolId] = frozenset()
    """Of a Snowflake account, each by its whole name."""

    def __or__(self, other: "Tools") -> "Tools":
        return Tools(self.functions | other.functions, self.schemas | other.schemas, self.objects | other.objects)

    def beside(self, kind: PlatformType) -> list[str]:
        """What of them a platform of this kind has nothing of, each with its name."""
        if kind == SNOWFLAKE:
            return [*(f"function {each}" for each in sorted(self.functions)), *(f"schema {each}" for each in sorted(self.schemas))]
        return [str(each) for each in sorted(self.objects)]


@dataclass(frozen=True, slots=True)
class ToolRefusal:
    """A tool that an agent asks for and does not get."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Permitted:
    """What of its tools an agent may have on a platform, if it is there and no way around policies."""

    tools: Tools = Tools()
    refusals: tuple[ToolRefusal, ...] = ()


def permitted(
    wanted: Tools, most: Tools, owners: Mapping[str, str], platform: str, *, adds: bool, kind: PlatformType = POSTGRESQL
) -> Permitted:
    """`most` is what the platform, of this kind, lets the agent have, and `owners` says whose the schemas of its domains are: these are for
    policies alone. `adds`: what the agent is granted itself adds to what the user is granted, without which it has no table of its own."""
    if beside := wanted.beside(kind):
        why = f"DataPlatform {platform} is of {kind}, which has no {beside[0]}: name what the agent needs there under {_FIELDS[kind]}"
        return Permitted(refusals=(ToolRefusal("NotPermitted", why),))

    def refusal(what: str, schema: str, *, allowed: bool) -> ToolRefusal | None:
        if schema in owners:
            return ToolRefusal(
                "NotPermitted", f"{what} is in a domain, that of {owners[schema]}, where nobody has more than policies grant"
            )
        if not allowed:
            why = f"DataPlatform {platform} does not let the agent have {what}; see the tools in its spec.agents"
            return ToolRefusal("NotPermitted", why)
        return None

    def refusal_of_schema(schema: str) -> ToolRefusal | None:
        refused = refusal(f"schema {schema}", schema, allowed=schema in most.schemas)
        if refused is None and not adds:
            why = "would add to what the user is granted, which takes the combination Union; see the widestCombination"
            return ToolRefusal("NotPermitted", f"schema {schema} {why} in the spec.agents of DataPlatform {platform}")
        return refused

    functions = {
        each: refusal(f"function {each}", each.schema, allowed=any(_covers(pattern, each) for pattern in most.functions))
        for each in sorted(wanted.functions)
    }
    schemas = {each: refusal_of_schema(each) for each in sorted(wanted.schemas)}
    # What is in a schema of a domain may be had, too: what such an object reads of it, policies grant.
    objects = {each: refusal(str(each), "", allowed=each in most.objects) for each in sorted(wanted.objects)}
    return Permitted(
        Tools(_given(functions), _given(schemas), _given(objects)),
        tuple(why for why in (*functions.values(), *schemas.values(), *objects.values()) if why is not None),
    )


def _given(judged: Mapping[T, ToolRefusal | None]) -> frozenset[T]:
    return frozenset(each for each, refused in judged.items() if refused is None)


def _covers(pattern: FunctionName, name: FunctionName) -> bool:
    return pattern.schema == name.schema and matches(pattern.name, name.name)


def functions_of(tools: Tools, there: Iterable[Function]) -> tuple[FunctionId, ...]:
    """Those of `there` that the tools name and that nothing stands in the way of, sorted."""
    return tuple(sorted(each.id for each in there if FunctionName(each.id.schema, each.id.name) in tools.functions and not each.obstacle))


def refused_functions(tools: Tools, there: Collection[Function]) -> Iterator[ToolRefusal]:
    """What of the tools is not among `functions_of`, and why."""
    for name in sorted(tools.functions):
        found = [each for each in there if (each.id.schema, each.id.name) == (name.schema, name.name)]
        if not found:
            yield ToolRefusal("ToolMissing", f"there is no function {name}")
        yield from (ToolRefusal("ToolRefused", f"function {each.id} {each.obstacle}") for each in found if each.obstacle)


def tools_within(tools: Tools, there: Iterable[Tool], asked: Collection[TableId] | None) -> tuple[Tool, ...]:
    """Those of `there` that the tools name and that nothing stands in the way of, in order, for a role that is for the tables `asked`
    alone."""
    given = (each for each in there if each.id in tools.objects and not each.obstacle and not beyond(each, asked))
    return tuple(sorted(given, key=lambda tool: tool.id))


def beyond(tool: Tool, asked: Collection[TableId] | None) -> str | None:
    """Return why a role for the tables `asked` alone does not have the tool, or None.

    A lease keeps the role from other tables, but not from copies of them.
    """
    others = [table for table, _ in tool.copies if asked is not None and table not in asked]
    return f"shows a copy of {others[0]}, which is not asked for" if others else None


def refused_tools(tools: Tools, there: Collection[Tool], tables: Mapping[TableId, Table]) -> Iterator[ToolRefusal]:
    """What of the tools nobody gets, whomever the agent acts for, and why. `tables` are those that can be granted."""
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
    """The tables of an agent's own schemas, as a statement like those of policies: guardrails hold for them all the same."""
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
    """No AccessPolicy has such a name."""
    return ObjectName(f"Agent {agent.namespace}", agent.name)
