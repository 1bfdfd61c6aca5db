"""Convert parsed policies, guardrails and TagBindings to statements of the core, or to errors. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import assert_never

from rolevend.catalog import Family, TableId, TagAssignment, matches
from rolevend.errors import InvalidInput
from rolevend.kinds import access_policy as spelled
from rolevend.kinds.agent import Agent
from rolevend.kinds.guardrail import Guardrail as SpelledGuardrail
from rolevend.kinds.match_condition import admitted
from rolevend.kinds.offer_terms import read_terms
from rolevend.kinds.parse import Faults
from rolevend.kinds.shared import AttributeRequirement, Resource, TagRequirement, UserSelector
from rolevend.kinds.shared import ColumnSelector as SpelledColumns
from rolevend.kinds.tag_binding import DataTag, TagBinding
from rolevend.kinds.values import object_name
from rolevend.model import Tag
from rolevend.policy import pattern, predicate
from rolevend.policy.expression import Predicate
from rolevend.policy.literal import canonical
from rolevend.policy.mask import Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import (
    ColumnSelector,
    Guardrail,
    MaskRule,
    Policy,
    TableSelector,
    guardrail_contradictions,
    policy_contradictions,
)


def policy(resource: spelled.AccessPolicy, schemas: frozenset[str]) -> Policy:
    """Return the policy on a platform that gives `schemas` to its namespace. Raises InvalidInput, which names the first invalid row
    filter, condition or mask pattern, or a selector that can match nothing."""
    faults = Faults()
    stated = _policy(resource, schemas, faults)
    faults.raise_first()
    return stated


def guardrail(resource: SpelledGuardrail) -> Guardrail:
    """Return the guardrail. Raises InvalidInput, which names the first invalid part; the caller then uses `denying`."""
    faults = Faults()
    stated = _guardrail(resource, faults)
    faults.raise_first()
    return stated


def faults_of(resource: Resource) -> tuple[InvalidInput, ...]:
    """Return all errors of `policy` or `guardrail`, on any platform; () for other kinds."""
    faults = Faults()
    match resource:
        case spelled.AccessPolicy():
            _policy(resource, frozenset(), faults)
        case SpelledGuardrail():
            _guardrail(resource, faults)
    return tuple(faults.found)


def _policy(resource: spelled.AccessPolicy, schemas: frozenset[str], faults: Faults) -> Policy:
    """Return the policy without its invalid parts."""
    spec = resource.spec
    users, agents = spec.users, spec.agents
    stated = Policy(
        id=object_name(resource),
        schemas=schemas,
        users=requirements((users and users.match_attributes) or ()),
        tables=_tables(spec.tables),
        columns=_columns(spec.columns),
        row_filter=_predicate(spec.row_filter, "spec.rowFilter", faults),
        masks=masks(spec.masks or (), "spec.masks", faults),
        agents=requirements((agents and agents.match_attributes) or ()),
        conditions=(
            *admitted((users and users.match_conditions) or (), "spec.users", faults),
            *admitted((agents and agents.match_conditions) or (), "spec.agents", faults, of_agent=True),
        ),
        grants_to=GrantTarget(spec.grants_to),
        on_request=spec.on_request is not None,
    )
    if spec.on_request is not None:
        read_terms(resource, spec.on_request, faults)
    faults.found += policy_contradictions(stated)
    return stated


def _predicate(text: str | None, field: str, faults: Faults) -> Predicate | None:
    return None if text is None else faults.reading(lambda: predicate.parse(text, field))


def _guardrail(resource: SpelledGuardrail, faults: Faults) -> Guardrail:
    """Return the guardrail without its invalid parts."""
    spec, deny = resource.spec, resource.spec.deny
    stated = replace(
        denying(resource),
        denies_tables=deny is not None and deny.type == "Tables",
        denied_columns=None if deny is None or deny.columns is None else _columns(deny.columns),
        row_restriction=_predicate(spec.row_restriction, "spec.rowRestriction", faults),
        mask_floors=masks(spec.mask_floors or (), "spec.maskFloors", faults),
        denies_lookup=spec.deny_lookup is True,
    )
    faults.found += guardrail_contradictions(stated)
    return stated


def denying(resource: SpelledGuardrail) -> Guardrail:
    """Return the guardrail as a denial of all its tables, because an invalid part could be a restriction."""
    return Guardrail(resource.name, guardrail_users(resource), _tables(resource.spec.tables), denies_tables=True)


def guardrail_users(resource: SpelledGuardrail) -> tuple[Requirement, ...]:
    """Return the requirements on affected users, where an unknown attribute counts as met; () for every user."""
    return () if resource.spec.users is None else _users(resource.spec.users)


def agent_users(agent: Agent) -> tuple[Requirement, ...]:
    """Return the requirements on the users that the agent may act for; () for every user."""
    users = agent.spec.on_behalf_of.users
    return () if users is None else _users(users)


def mask(rule: spelled.MaskRule, field: str) -> Mask:
    """Return the mask. Parsing has verified its parameters. `field` is its path. Raises InvalidInput for an invalid Regex pattern."""
    match rule.type:
        case "Hash":
            return Hash()
        case "Nullify":
            return Nullify()
        case "Partial":
            return Partial(rule.partial.keep_last) if rule.partial else Nullify()
        case "Round":
            return Round(canonical(rule.round.step, Family.NUMERIC) or rule.round.step) if rule.round else Nullify()
        case "Regex":
            return _regex(rule.regex, f"{field}.regex") if rule.regex else Nullify()
        case "DateTrunc":
            return DateTrunc(Unit(rule.date_trunc.unit)) if rule.date_trunc else Nullify()
        case "Constant":
            return Constant(rule.constant.value) if rule.constant else Nullify()
        case _:
            assert_never(rule.type)


def _regex(spelled_out: spelled.RegexMask, field: str) -> Regex:
    groups = pattern.admit(spelled_out.pattern, f"{field}.pattern")
    pattern.admit_replacement(spelled_out.replacement, groups, f"{field}.replacement")
    return Regex(spelled_out.pattern, spelled_out.replacement)


def tag_assignments(binding: TagBinding, schemas: frozenset[str]) -> tuple[TagAssignment, ...]:
    """Return the binding's tags and lookup columns on a platform that gives `schemas` to its namespace: one assignment for each schema
    that a pattern matches."""
    return tuple(each for _, assignment in tag_entries(binding) for each in within(assignment, schemas))


def tag_entries(binding: TagBinding) -> Iterator[tuple[str, TagAssignment]]:
    """Iterate over the entries with their fields. A schema may be a pattern."""
    for number, of_table in enumerate(binding.spec.tables or ()):
        yield f"spec.tables[{number}]", TagAssignment(of_table.schema_name, of_table.name, None, _tags(of_table.tags))
    for number, each in enumerate(binding.spec.columns or ()):
        yield f"spec.columns[{number}]", TagAssignment(each.schema_name, each.table, each.column, _tags(each.tags))
    for number, lookup in enumerate(binding.spec.lookup_columns or ()):
        yield f"spec.lookupColumns[{number}]", TagAssignment(lookup.schema_name, lookup.table, lookup.column, lookup=True)


def within(assignment: TagAssignment, schemas: frozenset[str]) -> list[TagAssignment]:
    """Return the assignment for each of `schemas` that its pattern matches."""
    return [replace(assignment, schema=schema) for schema in sorted(schemas) if matches(assignment.schema, schema)]


def _users(selector: UserSelector) -> tuple[Requirement, ...]:
    return requirements(selector.match_attributes)


def _tables(selector: spelled.TableSelector) -> TableSelector:
    names = tuple(TableId(pattern.schema_name, pattern.name) for pattern in selector.match_names or ())
    return TableSelector(tags=requirements(selector.match_tags or ()), names=names)


def masks(rules: Iterable[spelled.MaskRule], field: str, faults: Faults) -> tuple[MaskRule, ...]:
    """Return the rules, with NULL in place of an invalid mask, and collect the errors."""
    read = ((rule, faults.reading(partial(mask, rule, f"{field}[{rule.name}]"))) for rule in rules)
    return tuple(MaskRule(rule.name, _columns(rule.columns), known or Nullify()) for rule, known in read)


def _columns(selector: SpelledColumns) -> ColumnSelector:
    return ColumnSelector(tags=requirements(selector.match_tags or ()), names=selector.match_names or ())


def requirements(spelled_out: Iterable[AttributeRequirement | TagRequirement]) -> tuple[Requirement, ...]:
    """Return the parsed requirements of a selector."""
    return tuple(
        Requirement(
            each.key,
            frozenset(each.values or ()),
            RequirementOperator(each.operator),
            (each.values_from_user_attribute or "") if isinstance(each, spelled.TableTagRequirement) else "",
        )
        for each in spelled_out
    )


def _tags(tags: Iterable[DataTag]) -> frozenset[Tag]:
    return frozenset(Tag(tag.key, tag.value) for tag in tags)
