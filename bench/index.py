"""Cost of a decision in a large catalog, and of a change: `python -m bench.index [--quick]`, from the repository's root.

A decision computes, from a user's attributes, the active grants and the bitmap of their tables. Its form for a driver, table by table, is
built once for all users with the same result.
"""

import gc
import random
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, replace

from bench.lines import Line, absolute, ms, p50, percentile, quick, reported, settled, table, timed
from rolevend.catalog import Catalog, Column, Family, Table, TableId, TagAssignment
from rolevend.model import Attributes, ClusterId, ObjectName, PlatformName, Tag, User
from rolevend.plan import plan
from rolevend.policy.condition import admit
from rolevend.policy.decision import Switches, entitlement, switch, tables_granted
from rolevend.policy.index import Index, compile_policies
from rolevend.policy.mask import Hash, Partial
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial
from rolevend.policy.request_context import RequestContext
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, Policy, TableSelector

_SEED = 7
_FAMILIES = (Family.TEXT, Family.TEXT, Family.INTEGER, Family.NUMERIC, Family.DATE)
_PII = ("ssn", "name", "birth", "email")
_CONDITION = "request.purpose == 'claims' && user.attributes.clearance.exists(one, one == 'high')"


@dataclass(frozen=True)
class Size:
    tables: int
    policies: int
    rounds: int


FULL = Size(tables=10_000, policies=200, rounds=300)
QUICK = Size(tables=2_000, policies=60, rounds=50)
_COLUMNS, _ATTRIBUTES, _DOMAINS, _NAMES, _GUARDRAILS = 20, 30, 20, 2_000, 5


def lines(size: Size) -> Iterator[Line]:
    tables = warehouse(size)
    catalog = Catalog.of(tables)
    given = [policy(number) for number in range(size.policies)]
    limits = [guardrail(number) for number in range(_GUARDRAILS)]
    of = f"{size.tables:,} tables x {_COLUMNS} columns x {size.policies} policies"
    full = size is FULL
    yield settled(lambda: cold(catalog, given, limits, of).judged_if(full))
    tracemalloc.start()
    index = compile_policies(catalog, given, limits)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    yield reported("memory of the index, beside the catalog's own", f"{held / 2**20:.1f} MiB")
    gc.freeze()
    yield settled(lambda: decision(index, size, of).judged_if(full))
    conditional = compile_policies(catalog, [replace(each, conditions=(admit("purpose", _CONDITION, "spec"),)) for each in given], limits)
    yield settled(lambda: decision(conditional, size, "the same with a CEL condition on every policy").judged_if(full))
    yield settled(lambda: retagged(index, catalog, given, limits, size).judged_if(full))
    yield settled(lambda: changed(index, catalog, given, limits, size).judged_if(full))
    switches = switched(index)
    entitled = timed(lambda: entitlement(switches, index))
    shape = entitlement(switches, index)
    assert not isinstance(shape, Denial)
    planned = timed(lambda: plan(shape, ClusterId("bench")))
    yield reported(f"once for each shape: {len(shape.tables):,} tables listed, and planned", f"{ms(entitled)}, and {ms(planned)}")


def cold(catalog: Catalog, policies: list[Policy], guardrails: list[Guardrail], of: str) -> Line:
    seconds = min(timed(lambda: compile_policies(catalog, policies, guardrails)) for _ in range(3))
    return absolute(f"index of {of}, from nothing", ms(seconds), "< 200 ms", seconds / 0.2)


def decision(index: Index, size: Size, of: str) -> Line:
    users = [somebody(random.Random(number)) for number in range(size.rounds)]
    seconds, found = [], []
    for user in users:
        asking = RequestContext(purpose="claims", platform=PlatformName("warehouse"), user=User("https://idp", "ada"))
        started = time.perf_counter()
        switches = switch(user, index, asking)
        tables = 0 if isinstance(switches, Denial) else tables_granted(switches, index)
        seconds.append(time.perf_counter() - started)
        found.append((0 if isinstance(switches, Denial) else len(switches.on), tables.bit_count()))
    on, seen = p50([float(each) for each, _ in found]), p50([float(each) for _, each in found])
    budget = 0.0006 if index.policies[0].conditions else 0.00025
    measured = f"p50 {ms(p50(seconds))}, p99 {ms(percentile(seconds, 99))} ({on:.0f} on, {seen:.0f} tables)"
    return absolute(f"one decision: {of}", measured, f"p50 <= {budget * 1e3:g} ms", p50(seconds) / budget)


def retagged(index: Index, catalog: Catalog, policies: list[Policy], guardrails: list[Guardrail], size: Size) -> Line:
    chance = random.Random(_SEED)
    tagged, said = catalog, frozenset[TagAssignment]()
    tagging, mending = [], []
    for _ in range(size.rounds):
        name = chance.choice(index.tables).id
        more = [TagAssignment(name.schema, name.name, column, frozenset({Tag("pii", chance.choice(_PII))})) for column in (None, "region")]
        started = time.perf_counter()
        tagged, said = catalog.retagged(tagged, said, said.union(more)), said.union(more)
        tagging.append(time.perf_counter() - started)
        started = time.perf_counter()
        index = compile_policies(tagged, policies, guardrails, index)
        mending.append(time.perf_counter() - started)
    assert index == compile_policies(catalog.tagged(said), policies, guardrails)
    both = [one + other for one, other in zip(tagging, mending, strict=True)]
    measured = f"{spread(both)}, the catalog alone p50 {ms(p50(tagging))}"
    return absolute("catalog and index after other tags for a table and one of its columns", measured, "p50 < 1 ms", p50(both) / 0.001)


def changed(index: Index, catalog: Catalog, policies: list[Policy], guardrails: list[Guardrail], size: Size) -> Line:
    seconds = []
    for number in range(size.rounds):
        place = number % len(policies)
        policies = [*policies[:place], replace(policy(place), tables=selected(number + 1)), *policies[place + 1 :]]
        started = time.perf_counter()
        index = compile_policies(catalog, policies, guardrails, index)
        seconds.append(time.perf_counter() - started)
    assert index == compile_policies(catalog, policies, guardrails)
    return absolute("the index after another version of one policy", spread(seconds), "p50 < 1 ms", p50(seconds) / 0.001)


def spread(seconds: list[float]) -> str:
    return f"p50 {ms(p50(seconds))}, p99 {ms(percentile(seconds, 99))}"


def switched(index: Index) -> Switches:
    switches = switch(somebody(random.Random(0)), index)
    assert isinstance(switches, Switches)
    return switches


def warehouse(size: Size) -> list[Table]:
    chance = random.Random(_SEED)
    names = [column(chance, f"field_{number}") for number in range(_NAMES)]
    return [made(chance, names, number) for number in range(size.tables)]


def made(chance: random.Random, names: list[Column], number: int) -> Table:
    # Half of the columns have names that many tables use.
    common = chance.sample(names[:40], _COLUMNS // 2 - 1)
    own = [Column("region", Family.TEXT, "text"), *common, *chance.sample(names[40:], _COLUMNS // 2)]
    columns = tuple(replace(column, native_type=str(column.native_type)) for column in own)
    return Table(TableId(f"domain_{number % _DOMAINS}", f"table_{number:05}"), columns, table_tags(chance, number))


def table_tags(chance: random.Random, number: int) -> frozenset[Tag]:
    drawn = {Tag("product", f"p{chance.randrange(10)}"), Tag("layer", chance.choice(("raw", "curated", "mart")))}
    return frozenset(drawn | {Tag("domain", f"d{number % _DOMAINS}")})


def column(chance: random.Random, name: str) -> Column:
    family = chance.choice(_FAMILIES)
    personal = family is Family.TEXT and chance.random() < 0.2
    return Column(name, family, family.value, frozenset({Tag("pii", chance.choice(_PII))}) if personal else frozenset())


def selected(number: int) -> TableSelector:
    layer = Requirement("layer", frozenset({"raw"}), RequirementOperator.NOT_IN)
    return TableSelector((Requirement("product", frozenset({f"p{number % 10}", f"p{(number + 3) % 10}"})), layer))


def policy(number: int) -> Policy:
    pii = Requirement("pii", operator=RequirementOperator.EXISTS)
    domain = number % _DOMAINS
    return Policy(
        ObjectName(f"domain-{domain}", f"policy-{number}"),
        frozenset({f"domain_{domain}"}),
        (Requirement("department", frozenset({f"department-{number % 8}"})), Requirement("clearance", frozenset({"high", "low"}))),
        selected(number // _DOMAINS),
        ColumnSelector(names=("*",))
        if number % 3
        else ColumnSelector(names=("region", "field_19*", *(f"field_{each}" for each in range(30)))),
        parse("region IN (user_attr('regions'))") if number % 2 else None,
        (
            MaskRule("people", ColumnSelector(tags=(pii,)), Partial(4)),
            MaskRule("ssn", ColumnSelector(tags=(replace(pii, values=frozenset({"ssn"}), operator=RequirementOperator.IN),)), Hash()),
        ),
    )


def guardrail(number: int) -> Guardrail:
    floor = MaskRule("floor", ColumnSelector(tags=(Requirement("pii", frozenset({_PII[number % 4]})),)), Hash())
    tables = TableSelector((Requirement("domain", frozenset({f"d{number}"})), Requirement("layer", frozenset({"raw"}))))
    return Guardrail(f"limit-{number}", (), tables, denies_tables=number == 0, mask_floors=(floor,))


def somebody(chance: random.Random) -> Attributes:
    facts = {f"attribute-{number}": [f"value-{chance.randrange(10)}"] for number in range(_ATTRIBUTES - 3)}
    department = [f"department-{chance.randrange(8)}"]
    return Attributes.of((facts | {"department": department, "clearance": ["high"], "regions": ["EU", "US"]}).items())


def main() -> None:
    table("Deciding", lines(QUICK if quick() else FULL))


if __name__ == "__main__":
    main()
