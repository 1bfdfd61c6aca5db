"""People who stand for those whom no UserAttributes names: one without attributes, and two for each policy that grants the table: their
token gives what the policy asks for, and for the second one also what keeps guardrails away. Pure.

No one knows which values tokens will have. So a stand-in has attributes only of those keys that its identity provider maps.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from rolevend.catalog import Family, TableId
from rolevend.decision.proof import Claimed
from rolevend.model import Attributes, User
from rolevend.policy.bitmap import places
from rolevend.policy.explanation import requirement_text
from rolevend.policy.index import CompiledPolicy, GrantSet, Index
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.requirement import Requirement, RequirementOperator, facts_of, meets

ANYONE: Final = "anyone"
_SOME: Final = "some value"
_FITTING: Final[Mapping[Family, str]] = {
    Family.INTEGER: "1",
    Family.NUMERIC: "1",
    Family.FLOAT: "1",
    Family.BOOLEAN: "true",
    Family.DATE: "2000-01-01",
    Family.TIMESTAMP: "2000-01-01T00:00:00",
    Family.TIMESTAMP_TZ: "2000-01-01T00:00:00Z",
    Family.UUID: "00000000-0000-0000-0000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Stranger:
    """People whom no UserAttributes names."""

    user: User
    """The subject says for whom it stands."""
    attributes: Attributes
    proven: bool
    """True if a token proves them; False if a trusted agent names them."""

    @property
    def claimed(self) -> tuple[Claimed, ...]:
        return tuple(Claimed(key, values, "claim") for key, values in self.attributes)


def strangers(index: Index, table: TableId, issuers: Mapping[str, frozenset[str]]) -> tuple[list[Stranger], list[str]]:
    """Return the stand-ins, and a note for each policy that none could be made for. `issuers` are the accepted ones, with the keys of the
    attributes that their tokens give."""
    found = [Stranger(User("", ANYONE), Attributes(), proven=False)]
    found += [Stranger(User(issuer, ANYONE), Attributes(), proven=True) for issuer in sorted(issuers)]
    notes: list[str] = []
    for policy, grants in _granting(index, table):
        attributes = _attributes(policy, grants)
        if attributes and not all(meets(each, facts_of(_values(attributes))) for each in policy.users):
            notes.append(f"not tried: people whom no UserAttributes names, for AccessPolicy {policy.id}; see its spec.users")
            continue
        for issuer, given in sorted(issuers.items()):
            if attributes.keys() <= given:
                free = {key: test for key, test in _free_of_guardrails(index) if key in given and key not in attributes}
                found += [_stranger(issuer, policy, attributes, {}), _stranger(issuer, policy, attributes, free)]
    return list({each.user: each for each in found}.values()), notes


def _granting(index: Index, table: TableId) -> Iterator[tuple[CompiledPolicy, GrantSet]]:
    """Yield the policies and offers that grant the table to users."""
    for policy in (*index.policies, *index.offers):
        for grants in policy.grant_sets if policy.grants_to is GrantTarget.USERS else ():
            if any(index.tables[place].id == table for place in places(grants.tables)):
                yield policy, grants


def _attributes(policy: CompiledPolicy, grants: GrantSet) -> dict[str, str]:
    found: dict[str, str] = {each.attribute: _FITTING.get(each.family, _SOME) for each in grants.demands}
    for tie in grants.ties:
        found[tie.attribute] = min(tie.values, default=_SOME) if tie.among else _SOME
    for each in policy.users:
        if each.operator is RequirementOperator.IN:
            found[each.key] = min(each.values, default=_SOME)
        elif each.operator is not RequirementOperator.DOES_NOT_EXIST:
            found.setdefault(each.key, _SOME)
    return found


def _free_of_guardrails(index: Index) -> Iterator[tuple[str, Requirement]]:
    """Yield attributes of users whom guardrails do not concern."""
    for each in (requirement for guardrail in index.guardrails for requirement in guardrail.users):
        match each.operator:
            case RequirementOperator.IN:
                yield each.key, replace(each, operator=RequirementOperator.NOT_IN)
            case RequirementOperator.NOT_IN:
                yield each.key, replace(each, operator=RequirementOperator.IN)
            case RequirementOperator.DOES_NOT_EXIST:
                yield each.key, replace(each, operator=RequirementOperator.EXISTS)
            case RequirementOperator.EXISTS:
                pass  # nobody knows that an attribute is absent
            case _:
                assert_never(each.operator)


def _stranger(issuer: str, policy: CompiledPolicy, attributes: Mapping[str, str], free: Mapping[str, Requirement]) -> Stranger:
    asked = {each.key for each in policy.users}
    others = [f"{key} Exists" for key in sorted(attributes) if key not in asked]
    texts = [*map(requirement_text, policy.users), *others, *map(requirement_text, free.values())]
    held = {**attributes, **{key: _value(test) for key, test in free.items()}}
    return Stranger(User(issuer, f"{ANYONE} with {' and '.join(texts)}" if texts else ANYONE), _values(held), proven=True)


def _value(test: Requirement) -> str:
    return min(test.values, default=_SOME) if test.operator is RequirementOperator.IN else _SOME


def _values(attributes: Mapping[str, str]) -> Attributes:
    return Attributes.of((key, (value,)) for key, value in attributes.items())
