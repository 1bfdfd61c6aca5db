"""Attribute values in policies and guardrails that nobody among the files has, and policies that cover nobody.

Only files are judged here: in a cluster, the author of a policy must not learn the values that users have.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, DataPlatform, Guardrail, UserAttributes, statements, values
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

    def told(self, folder: Folder) -> str:
        """Return one sentence with the object and the place."""
        document, _ = folder.found[self.uid]
        return f"{document.name}: {self.fault} ({document.place(self.fault.field)})"


def uncarried(folder: Folder, users: Sequence[UserAttributes]) -> Iterator[UncarriedValue]:
    """Yield the values that nobody has, of all policies and guardrails. Without `users` nothing is said of users, and nothing of agents
    where a DataPlatform is missing."""
    carried = _carried((each.key, each.values) for person in users for each in person.spec.attributes)
    platforms = {each.name: each for each in folder.of(DataPlatform)}
    for uid, (_, each) in folder.found.items():
        if isinstance(each, AccessPolicy | Guardrail):
            yield from (UncarriedValue(uid, fault) for fault in _of_users(each, carried))
        if isinstance(each, AccessPolicy):
            named = [platforms.get(ref.name) for ref in each.spec.platform_refs]
            known = [platform for platform in named if platform is not None]
            yield from (UncarriedValue(uid, fault) for fault in (_of_agents(each, known) if len(known) == len(named) else ()))


def without_users(folder: Folder, users: Sequence[UserAttributes]) -> Iterator[UncarriedValue]:
    """Yield the policies that cover none of `users`; nothing without any."""
    policies = [(uid, each, _on_users(each)) for uid, (_, each) in folder.found.items() if isinstance(each, AccessPolicy)] if users else []
    census = UserMatchCounter()
    census.update({user: attributes for user, _, attributes in map(values.known_user, users)})
    census.ask(requirement for *_, required in policies for requirement in statements.requirements(required))
    for uid, _, required in policies:
        if required and not census.covered(statements.requirements(required)):
            message = f"{NO_USERS}: no UserAttributes object meets all of it, so the policy covers nobody ({TOKENS})"
            yield UncarriedValue(uid, InvalidInput(_USERS, message))


def _carried(pairs: Iterable[tuple[str, Iterable[str]]]) -> _Carried:
    found: dict[str, set[str]] = {}
    for key, given in pairs:
        found.setdefault(key, set()).update(given)
    return {key: frozenset(given) for key, given in found.items()}


def _on_users(resource: AccessPolicy | Guardrail) -> Sequence[AttributeRequirement]:
    users = resource.spec.users
    return (users and users.match_attributes) or ()


def _of_users(resource: AccessPolicy | Guardrail, carried: _Carried) -> Iterator[InvalidInput]:
    for field, requirement, value in _missing(_USERS, _on_users(resource), carried):
        found = closest(value, carried[requirement.key])
        yield InvalidInput(field, f"no UserAttributes object has {requirement.key}={value}{found} ({TOKENS})")


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
