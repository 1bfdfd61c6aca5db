"""Caches of the users in UserAttributes, of the terms of offers, and of each platform's policy index. An update costs only its changes."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
from rolevend.plan import TableNames
from rolevend.policy.index import compile_policies
from rolevend.policy.statement import Guardrail, Policy
from rolevend.policy.user_match_counter import UserMatchCounter
from rolevend.snapshot.conditions.common import StatusEvaluation, evaluate_unique, with_refusals, with_suspension

_SIGNALS: Final = tuple(
    ConditionUpdate(type_, "True", "Signals", "its suspend and notBefore count; it describes nobody") for type_ in ("Accepted", "Ready")
)
_SUSPENDED: Final = "nothing is vended for the user, and their roles end"

_UserClaim = tuple[str, object]
_ById = dict[int, UserAttributes]
"""By `id()`: each version of an object is parsed once, so another version is another Python object."""


class UserCache:
    """The users of the newest snapshot. An update evaluates the objects that changed, and those that share a claim with them."""

    def __init__(self) -> None:
        self.known: Mapping[User, KnownUser] = {}
        """The accepted users. No update changes a mapping that an earlier one made."""
        self.suspended: frozenset[User] = frozenset()
        """The suspended users, also of objects that are not accepted or not readable."""
        self.not_before: Mapping[User, datetime] = {}
        """The users whose sessions were revoked, also by objects that are not accepted or not readable."""
        self.census = UserMatchCounter()
        self._refused: Mapping[Claim, str] = {}
        self._objects: _ById = {}
        self._stops: _ById = {}
        """The objects that stop their users."""
        self._claimants: defaultdict[_UserClaim, _ById] = defaultdict(dict)
        self._evaluations: dict[int, StatusEvaluation[UserAttributes]] = {}

    @property
    def evaluations(self) -> Collection[StatusEvaluation[UserAttributes]]:
        """The evaluations of all objects, in no order. Each is the same Python object until it differs."""
        return self._evaluations.values()

    def update(self, resources: Sequence[UserAttributes], refused: Mapping[Claim, str], unreadable: Sequence[UserAttributes] = ()) -> None:
        """Follow the objects. `refused` are handles that belong to another user, each with the owner. Of `unreadable` only `spec.suspend`
        and `spec.notBefore` count."""
        before, self._objects = self._objects, dict(zip(map(id, resources), resources, strict=True))
        gone = [before[each] for each in before.keys() - self._objects.keys()]
        new = [self._objects[each] for each in self._objects.keys() - before.keys()]
        if self._refused != refused:
            self._refused = dict(refused)
            new = list(resources)
        if gone or new:
            self._index(gone, new)
            self._evaluate(gone, new)
        stops = [*self._stops.values(), *unreadable]
        self.suspended = frozenset(values.user(each.spec.user) for each in stops if each.spec.suspend)
        marks = sorted((each.spec.not_before, values.user(each.spec.user)) for each in stops if each.spec.not_before is not None)
        self.not_before = {user: until for until, user in marks}  # of several, the latest

    def _index(self, gone: Iterable[UserAttributes], new: Iterable[UserAttributes]) -> None:
        for each in gone:
            self._stops.pop(id(each), None)
            for claim in _claims(each):
                del self._claimants[claim][id(each)]
                if not self._claimants[claim]:
                    del self._claimants[claim]
        for each in new:
            if each.spec.suspend or each.spec.not_before is not None:
                self._stops[id(each)] = each
            for claim in _claims(each):
                self._claimants[claim][id(each)] = each

    def _evaluate(self, gone: Sequence[UserAttributes], new: Sequence[UserAttributes]) -> None:
        """Evaluate the new objects, and all whose acceptance may depend on a change."""
        affected = list({id(each): each for each in (*new, *self._connected([*gone, *new]))}.values())
        known = dict(self.known)
        before = {}
        for each in (*gone, *affected):
            evaluation = self._evaluations.pop(id(each), None)
            if evaluation is not None and evaluation.accepted and _describes(each):
                user = values.user(each.spec.user)
                before[user] = known.pop(user)
        people = with_refusals(evaluate_unique(filter(_describes, affected), _claims), lambda person: _refused(person, self._refused))
        signals = [StatusEvaluation(each, _SIGNALS) for each in affected if not _describes(each)]
        for evaluation in with_suspension([*people, *signals], lambda person: person.spec.suspend, _SUSPENDED):
            self._evaluations[id(evaluation.resource)] = evaluation
        accepted = [_known_user(each.resource, before) for each in people if each.accepted]
        known.update((each.user, each) for each in accepted)
        self.known = known
        self.census.update({each.user: each.attributes for each in accepted}, before.keys() - known.keys())

    def _connected(self, changed: Iterable[UserAttributes]) -> Collection[UserAttributes]:
        """Return the objects that share claims with the changed ones, and those that share claims with these."""
        found: _ById = {}
        claims = [claim for each in changed for claim in _claims(each)]
        while claims:
            for key, each in self._claimants.get(claims.pop(), {}).items():
                if key not in found:
                    found[key] = each
                    claims += _claims(each)
        return found.values()


def _describes(person: UserAttributes) -> bool:
    """True unless signals made the object: then it only stops its user."""
    return not is_made_by_signals(person.metadata.labels)


def _claims(person: UserAttributes) -> tuple[_UserClaim, ...]:
    """Return the fields that only one accepted object may have with this value."""
    if not _describes(person):
        return ()
    handle = (("spec.handle", person.spec.handle),) if person.spec.handle else ()
    return (("spec.user", (person.spec.user.issuer, person.spec.user.subject)), *handle)


def _known_user(resource: UserAttributes, before: Mapping[User, KnownUser]) -> KnownUser:
    """Return the user. It is the one of `before` if nothing but the status changed."""
    version = values.version(resource)
    known = before.get(values.user(resource.spec.user))
    return known if known is not None and known.version == version else KnownUser(*values.known_user(resource), version=version)


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
    table_names: TableNames
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
        table_names: TableNames,
    ) -> ProfileCache:
        """Return the cache of the platform. It is the same object if nothing changed."""
        tags, statements = tuple(assignments), (tuple(policies), tuple(guardrails))
        known = self._compiled.get(name)
        if known is None or known.catalog is not catalog:
            tagged = catalog.tagged(tags)
        elif known.assignments != tags:
            tagged = catalog.retagged(known.tagged, known.assignments, tags)
        elif (known.statements, known.table_names) != (statements, table_names):
            tagged = known.tagged
        else:
            return known.shapes
        index = compile_policies(tagged, policies, guardrails, known.shapes.index if known else None)
        shapes = ProfileCache(index, self._cluster, catalog.functions, catalog.tools, table_names)
        self._compiled[name] = _Compiled(catalog, tags, tagged, statements, table_names, shapes)
        return shapes

    def keep(self, names: Collection[PlatformName]) -> None:
        """Forget all other platforms."""
        for gone in self._compiled.keys() - set(names):
            del self._compiled[gone]
