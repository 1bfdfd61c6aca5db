"""Read the circumstances of an AccessRequest: its offer and effect now, the votes, the other requests, and the roles that live."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from rolevend.access_objects.store import AccessRequestStore
from rolevend.access_objects.votes import Votes, readable_vote
from rolevend.access_requests.circumstances import Circumstances
from rolevend.access_requests.terms import AutomaticRule, OfferTerms
from rolevend.access_requests.votes import CheckedVote
from rolevend.decision.outcome import SUSPENDED, Delivery, Denied, Pending, Request
from rolevend.decision.profile_cache import OfferEffect
from rolevend.decision.proof import ClientIdentity, ServiceAccountIdentity
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.identity.service_account import username
from rolevend.kinds import AccessDecision, AccessRequest
from rolevend.kinds.access_request_facts import requested_access
from rolevend.kinds.shared import WITHDRAWN_BY
from rolevend.model import ObjectName, Uid
from rolevend.plan import Profile
from rolevend.policy.refusal import Denial
from rolevend.roles.store import RoleStore

_PREFIXES: Final = ("oidc:", "oidc#")
"""Prefixes that API servers put before the names of users of an identity provider, besides the issuer and `#`, which is their default."""


class CircumstancesReader:
    def __init__(self, store: AccessRequestStore, votes: Votes, roles: RoleStore, now: Callable[[], datetime]) -> None:
        self.store = store
        self.votes = votes
        self._roles = roles
        self.now = now

    async def read(self, resource: AccessRequest, request: Request, snapshot: Snapshot) -> Circumstances:
        """Return the circumstances now. `request` is the role that the AccessRequest asks about, with the proof of its user."""
        asked = requested_access(resource)
        terms, effect = snapshot.offers.get(asked.offer), snapshot.effect(request, asked.activation)
        profile = effect.profile if isinstance(effect, OfferEffect) else None
        must_hold = terms is not None and terms.approver_must_hold
        votes = [await self._checked(each, snapshot, request, profile if must_hold else None) for each in self.votes.on(Uid(resource.uid))]
        person = snapshot.person(request)
        return Circumstances(
            now=self.now(),
            terms=None if terms is None else _with_readable_rules(terms, person),
            digest=snapshot.digest(request.user, effect) if isinstance(effect, OfferEffect) else None,
            unknown=effect.message if isinstance(effect, Pending) or (isinstance(effect, Denied) and effect.reason == SUSPENDED) else None,
            user_is_active=(request.token is not None or request.user in snapshot.people) and not snapshot.has_revoked_session(request),
            attributes=person.attributes,
            agent_attributes=snapshot.asking(request).agent_attributes,
            votes=tuple(each for each in votes if each is not None),
            excluded=excluded_names(request, snapshot),
            others=self.store.others(asked),
            live_roles=frozenset(states[0].request.uid for states in self._roles),
            can_confirm=resource.spec.delivery == Delivery.RESPONSE.value and request.user.issuer in snapshot.logins,
            withdrawn_by=resource.metadata.annotations.get(WITHDRAWN_BY),
        )

    async def _checked(self, decision: AccessDecision, snapshot: Snapshot, request: Request, profile: Profile | None) -> CheckedVote | None:
        """Return the vote with the rights of its author, or None if it has a mask that cannot be read. `profile` is the effect of the offer
        that its author must have; None: the author need not have it."""
        read = readable_vote(decision)
        if read is None:
            return None
        holds = None if profile is None else _holds(decision.spec.by, profile, request, snapshot)
        may_approve = None if read.approves and _is_username_unknown(request, snapshot) else await self.votes.may_approve(decision)
        return CheckedVote(read, may_approve, holds)


def _holds(approver: str, profile: Profile, request: Request, snapshot: Snapshot) -> bool | None:
    """Return whether policies grant the approver every table of `profile`; None if no single user has this name."""
    named = [known for user, known in snapshot.people.items() if user.subject == approver]
    shapes = snapshot.shapes.get(request.platform)
    if len(named) != 1 or shapes is None:
        return None
    held = shapes.of(named[0].attributes, snapshot.asking(request))
    if isinstance(held, Denial):
        return False
    granted = {each.table: {column.name for column in each.columns} for each in held.profile.tables}
    return all({column.name for column in each.columns} <= granted.get(each.table, set()) for each in profile.tables)


def _with_readable_rules(terms: OfferTerms, person: KnownUser) -> OfferTerms:
    """Return the terms without the rules that read an attribute whose claim cannot be read: a condition on its absence would hold."""
    return replace(terms, automatic=tuple(each for each in terms.automatic if person.unreadable.isdisjoint(_reads(each))))


def _reads(rule: AutomaticRule) -> frozenset[str]:
    return frozenset[str]().union(*(condition.reads for condition in rule.conditions))


def _is_username_unknown(request: Request, snapshot: Snapshot) -> bool:
    """True if the claim with the name of the user in Kubernetes cannot be read: then any approval may be the user's own."""
    naming = snapshot.usernames.get(request.user.issuer)
    return naming is not None and naming.attribute in snapshot.person(request).unreadable


def excluded_names(request: Request, snapshot: Snapshot) -> frozenset[str]:
    """Return the names of accounts that never approve the request: the user, the account that created it, and every agent."""
    names = _accounts(request.user.issuer, request.user.subject)
    naming = snapshot.usernames.get(request.user.issuer)
    if naming is not None:
        for name in snapshot.person(request).attributes.values(naming.attribute):
            names |= _accounts(request.user.issuer, name) | {f"{naming.prefix}{name}"}
    if request.requested_by is not None:
        names.add(request.requested_by)
    for agent in snapshot.agents.values():
        match agent.identity:
            case ServiceAccountIdentity(name):
                names.add(username(ObjectName(agent.name.namespace, name)))
            case ClientIdentity(issuer, client_ids, subject):
                names = names.union(*(_accounts(issuer, each) for each in (*client_ids, subject)))
    return frozenset(names)


def _accounts(issuer: str, subject: str) -> set[str]:
    """Return the names that API servers may give to this subject of an identity provider."""
    return {subject, *(f"{prefix}{subject}" for prefix in (f"{issuer}#", *_PREFIXES))}
