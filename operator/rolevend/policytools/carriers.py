"""Attribute values in policies and guardrails that nobody among the files has, and policies that cover nobody.

Only files are judged here: in a cluster, the author of a policy must not learn the values that users have.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, DataPlatform, Guardrail, Resource, UserAttributes, statements, values
from rolevend.kinds.shared import AttributeRequirement
from rolevend.policy.user_match_counter import UserMatchCounter
from rolevend.policy.vocabulary import closest
from rolevend.policytools.folder import Folder

NO_USERS: Final = "NoUsers"
TOKENS: Final = "users whose attributes come from tokens are not known here"
_USERS: Final = "spec.users.matchAttributes"
_AGENTS: Final = "spec.agents.matchAttributes"
_Carried = Mapping[str, frozenset[str]]
"""The values that somebody has, by attribute."""


@dataclass(frozen=True, slots=True)
class UncarriedValue:
    """A probable mistake in a policy or guardrail."""

    uid: str
    """Of the object among the files."""
    fault: InvalidInput


def uncarried(folder: Folder, people: Sequence[UserAttributes] | None = None) -> Iterator[UncarriedValue]:
    """Yield the findings of all policies and guardrails. Without UserAttributes nothing is said of users, and nothing of agents where a
    DataPlatform is missing. `people` are the users instead of those of the folder."""
    users = folder.of(UserAttributes) if people is None else people
    carried = _carried((each.key, each.values) for person in users for each in person.spec.attributes)
    platforms = {each.name: each for each in folder.of(DataPlatform)}
    selecting = [(uid, each) for uid, (_, each) in folder.found.items() if isinstance(each, AccessPolicy | Guardrail)]
    census = _census(users, (each for _, each in selecting))
    for uid, each in selecting:
        if users:
            yield from (UncarriedValue(uid, fault) for fault in _of_users(each, carried, census))
        named = [platforms.get(ref.name) for ref in each.spec.platform_refs]
        if isinstance(each, AccessPolicy) and None not in named:
            yield from (UncarriedValue(uid, fault) for fault in _of_agents(each, [platform for platform in named if platform]))


def _carried(pairs: Iterable[tuple[str, Iterable[str]]]) -> _Carried:
    found: dict[str, set[str]] = {}
    for key, given in pairs:
        found.setdefault(key, set()).update(given)
    return {key: frozenset(given) for key, given in found.items()}


def _census(users: Iterable[UserAttributes], selecting: Iterable[Resource]) -> UserMatchCounter:
    census = UserMatchCounter()
    census.follow({user: attributes for user, _, attributes in map(values.known_user, users)})
    census.ask(requirement for each in selecting for requirement in statements.requirements(_on_users(each)))
    return census


def _on_users(resource: Resource) -> Sequence[AttributeRequirement]:
    users = resource.spec.users if isinstance(resource, AccessPolicy | Guardrail) else None
    return (users and users.match_attributes) or ()


def _of_users(resource: AccessPolicy | Guardrail, carried: _Carried, census: UserMatchCounter) -> Iterator[InvalidInput]:
    required = _on_users(resource)
    for field, requirement, value in _missing(_USERS, required, carried):
        found = closest(value, carried[requirement.key])
        yield InvalidInput(field, f"no UserAttributes object has {requirement.key}={value}{found} ({TOKENS})")
    if isinstance(resource, AccessPolicy) and required and not census.covered(statements.requirements(required)):
        yield InvalidInput(_USERS, f"{NO_USERS}: no UserAttributes object meets all of it, so the policy covers nobody ({TOKENS})")


def _of_agents(policy: AccessPolicy, platforms: Sequence[DataPlatform]) -> Iterator[InvalidInput]:
    agents = policy.spec.agents
    carried = _carried(
        (each.key, each.values) for platform in platforms for entry in platform.spec.agents for each in entry.attributes or ()
    )
    for field, requirement, value in _missing(_AGENTS, (agents and agents.match_attributes) or (), carried):
        found = closest(value, carried[requirement.key])
        yield InvalidInput(field, f"no DataPlatform of this policy gives an agent {requirement.key}={value}{found}")


def _missing(field: str, required: Iterable[AttributeRequirement], carried: _Carried) -> Iterator[tuple[str, AttributeRequirement, str]]:
    """Yield the values that nobody has of attributes that somebody has. A value of `NotIn` counts only if it looks misspelled: it may
    exclude users who are yet to come."""
    for number, requirement in enumerate(required):
        known = carried.get(requirement.key)
        for place, value in enumerate(requirement.values or () if known is not None else ()):
            if known is not None and value not in known and (requirement.operator == "In" or closest(value, known)):
                yield f"{field}[{number}].values[{place}]", requirement, value
