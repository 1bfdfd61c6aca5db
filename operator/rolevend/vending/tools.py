"""What an agent has whoever it acts for: functions, and schemas of its own, as far as the platform team permits them and they are no way
around policies. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rolevend.catalog import Function, FunctionId, TableId, matches
from rolevend.model import ObjectName
from rolevend.policy.combination import Side
from rolevend.policy.statement import ColumnSelector, Policy, TableSelector


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

    def __or__(self, other: "Tools") -> "Tools":
        return Tools(self.functions | other.functions, self.schemas | other.schemas)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A tool that an agent asks for and does not get."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Permitted:
    """What of its tools an agent may have on a platform, if it is there and no way around policies."""

    tools: Tools = Tools()
    refusals: tuple[Refusal, ...] = ()


def permitted(wanted: Tools, most: Tools, owners: Mapping[str, str], platform: str, *, adds: bool) -> Permitted:
    """`most` is what the platform lets the agent have, and `owners` says whose the schemas of its domains are: these are for policies
    alone. `adds`: what the agent is granted itself adds to what the user is granted, without which it has no table of its own."""

    def refusal(what: str, schema: str, *, allowed: bool) -> Refusal | None:
        if schema in owners:
            return Refusal("NotPermitted", f"{what} is in a domain, that of {owners[schema]}, where nobody has more than policies grant")
        if not allowed:
            why = f"DataPlatform {platform} does not let the agent have {what}; see the tools in its spec.agents"
            return Refusal("NotPermitted", why)
        return None

    def refusal_of_schema(schema: str) -> Refusal | None:
        refused = refusal(f"schema {schema}", schema, allowed=schema in most.schemas)
        if refused is None and not adds:
            why = "would add to what the user is granted, which takes the combination Union; see the widestCombination"
            return Refusal("NotPermitted", f"schema {schema} {why} in the spec.agents of DataPlatform {platform}")
        return refused

    functions = {
        each: refusal(f"function {each}", each.schema, allowed=any(_covers(pattern, each) for pattern in most.functions))
        for each in sorted(wanted.functions)
    }
    schemas = {each: refusal_of_schema(each) for each in sorted(wanted.schemas)}
    return Permitted(
        Tools(
            frozenset(each for each in functions if functions[each] is None), frozenset(each for each in schemas if schemas[each] is None)
        ),
        tuple(why for why in (*functions.values(), *schemas.values()) if why is not None),
    )


def _covers(pattern: FunctionName, name: FunctionName) -> bool:
    return pattern.schema == name.schema and matches(pattern.name, name.name)


def functions_of(tools: Tools, there: Iterable[Function]) -> tuple[FunctionId, ...]:
    """Those of `there` that the tools name and that nothing stands in the way of, sorted."""
    return tuple(sorted(each.id for each in there if FunctionName(each.id.schema, each.id.name) in tools.functions and not each.obstacle))


def refused_functions(tools: Tools, there: Collection[Function]) -> Iterator[Refusal]:
    """What of the tools is not among `functions_of`, and why."""
    for name in sorted(tools.functions):
        found = [each for each in there if (each.id.schema, each.id.name) == (name.schema, name.name)]
        if not found:
            yield Refusal("ToolMissing", f"there is no function {name}")
        yield from (Refusal("ToolRefused", f"function {each.id} {each.obstacle}") for each in found if each.obstacle)


def own_tables(agent: ObjectName, schemas: frozenset[str]) -> Policy:
    """The tables of an agent's own schemas, as a statement like those of policies: guardrails hold for them all the same."""
    return Policy(
        id=name_of_own(agent),
        schemas=schemas,
        users=(),
        tables=TableSelector(names=(TableId("*", "*"),)),
        columns=ColumnSelector(names=("*",)),
        row_filter=None,
        grants_to=Side.AGENTS,
        agent=agent,
    )


def name_of_own(agent: ObjectName) -> ObjectName:
    """No AccessPolicy has such a name."""
    return ObjectName(f"Agent {agent.namespace}", agent.name)
