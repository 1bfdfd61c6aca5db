"""Caches of the users in UserAttributes, of the terms of offers, and of each platform's policy index. An update costs only its changes."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import is_
from typing import Final

from rolevend.access_requests.terms import OfferTerms
from rolevend.catalog import Catalog, TagAssignment
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.kinds import AccessPolicy, UserAttributes, values
from rolevend.kinds.offer_terms import offer_terms
from rolevend.kinds.signals import is_made_by_signals
from rolevend.kinds.status import ConditionUpdate
from rolevend.model import Claim, ClusterId, ObjectName, PlatformName, User, UserHandle, user_claim
from rolevend.policy.index import compile_policies
from rolevend.policy.statement import Guardrail, Policy
from rolevend.policy.user_match_counter import UserMatchCounter
from rolevend.snapshot.conditions.common import StatusEvaluation, evaluate_unique, with_refusals, with_suspension

_SIGNALS: Final = tuple(
    ConditionUpdate(type_, "True", "Signals", "its suspend and notBefore count; it describes nobody") for type_ in ("Accepted", "Ready")
)


class UserCache:
    """The users of the newest snapshot."""

    def __init__(self) -> None:
        self.evaluations: Sequence[StatusEvaluation[UserAttributes]] = ()
        self.known: Mapping[User, KnownUser] = {}
        """The accepted users."""
        self.suspended: frozenset[User] = frozenset()
        """The suspended users, also of objects that are not accepted or not readable."""
        self.not_before: Mapping[User, datetime] = {}
        """The users whose sessions were revoked, also by objects that are not accepted or not readable."""
        self.census = UserMatchCounter()
        self._made_of: tuple[Sequence[UserAttributes], Mapping[Claim, str], Sequence[UserAttributes]] = ((), {}, ())
        self._read: dict[str, tuple[int, KnownUser]] = {}

    def update(self, resources: Sequence[UserAttributes], refused: Mapping[Claim, str], unreadable: Sequence[UserAttributes] = ()) -> None:
        """Evaluate all objects. `refused` are handles that belong to another user, each with the owner. Of `unreadable` only
        `spec.suspend` and `spec.notBefore` count."""
        before, *others_before = self._made_of
        if len(before) == len(resources) and all(map(is_, before, resources)) and others_before == [dict(refused), list(unreadable)]:
            return
        self._made_of = (tuple(resources), dict(refused), list(unreadable))
        signals = [each for each in resources if is_made_by_signals(each.metadata.labels)]
        described = [each for each in resources if not is_made_by_signals(each.metadata.labels)] if signals else resources
        stops = [each for each in (*resources, *unreadable) if each.spec.suspend or each.spec.not_before is not None]
        people = with_refusals(evaluate_unique(described, _keys), lambda person: _refused(person, refused))
        self.evaluations = with_suspension(
            [*people, *(StatusEvaluation(each, _SIGNALS) for each in signals)],
            lambda person: person.spec.suspend,
            "nothing is vended for the user, and their roles end",
        )
        self.suspended = frozenset(values.user(each.spec.user) for each in stops if each.spec.suspend)
        marks = sorted((each.spec.not_before, values.user(each.spec.user)) for each in stops if each.spec.not_before is not None)
        self.not_before = {user: until for until, user in marks}  # of several, the latest
        self.known = {person.user: person for person in self._all(each.resource for each in people if each.accepted)}
        self.census.follow({user: person.attributes for user, person in self.known.items()})

    def _all(self, accepted: Iterable[UserAttributes]) -> list[KnownUser]:
        """Return the users, each parsed once for each version."""
        read = {}
        for resource in accepted:
            before = self._read.get(resource.uid)
            if before is None or before[0] != resource.generation:
                before = (resource.generation, KnownUser(*values.known_user(resource), version=values.version(resource)))
            read[resource.uid] = before
        self._read = read
        return [person for _, person in read.values()]


def _keys(person: UserAttributes) -> tuple[tuple[str, object], ...]:
    handle = (("spec.handle", person.spec.handle),) if person.spec.handle else ()
    return (("spec.user", (person.spec.user.issuer, person.spec.user.subject)), *handle)


def _refused(person: UserAttributes, refused: Mapping[Claim, str]) -> str | None:
    handle = person.spec.handle
    return refused.get(user_claim(UserHandle(handle), values.user(person.spec.user))) if refused and handle else None


class OfferCache:
    """The terms of the offers of the newest snapshot."""

    def __init__(self) -> None:
        self.known: Mapping[ObjectName, OfferTerms] = {}

    def update(self, offers: Iterable[AccessPolicy]) -> None:
        """Replace all offers. Each is valid; its terms are read once for each version."""
        self.known = {values.object_name(each): self._terms(each) for each in offers}

    def _terms(self, offer: AccessPolicy) -> OfferTerms:
        before = self.known.get(values.object_name(offer))
        unchanged = before is not None and (before.uid, before.generation) == (offer.uid, offer.generation)
        return before if before is not None and unchanged else offer_terms(offer)


@dataclass(frozen=True, slots=True)
class _Compiled:
    catalog: Catalog
    assignments: tuple[TagAssignment, ...]
    tagged: Catalog
    statements: tuple[tuple[Policy, ...], tuple[Guardrail, ...]]
    shapes: ProfileCache


class IndexCache:
    def __init__(self, cluster: ClusterId) -> None:
        self._cluster = cluster
        self._compiled: dict[PlatformName, _Compiled] = {}

    def shapes(
        self,
        name: PlatformName,
        catalog: Catalog,
        policies: Sequence[Policy],
        guardrails: Sequence[Guardrail],
        assignments: Sequence[TagAssignment],
    ) -> ProfileCache:
        """Return the cache of the platform. It is the same object if nothing changed."""
        tags, statements = tuple(assignments), (tuple(policies), tuple(guardrails))
        known = self._compiled.get(name)
        if known is None or known.catalog is not catalog:
            tagged = catalog.tagged(tags)
        elif known.assignments != tags:
            tagged = catalog.retagged(known.tagged, known.assignments, tags)
        elif known.statements != statements:
            tagged = known.tagged
        else:
            return known.shapes
        index = compile_policies(tagged, policies, guardrails, known.shapes.index if known else None)
        shapes = ProfileCache(index, self._cluster, catalog.functions, catalog.tools)
        self._compiled[name] = _Compiled(catalog, tags, tagged, statements, shapes)
        return shapes

    def keep(self, names: Collection[PlatformName]) -> None:
        """Forget all other platforms."""
        for gone in self._compiled.keys() - set(names):
            del self._compiled[gone]
