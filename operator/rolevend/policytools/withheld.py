"""Requests that the terms of one folder refuse to an agent, and those of the other folder permit: by purpose, and by lifetime."""

from collections.abc import Mapping
from dataclasses import dataclass

from rolevend.decision.admission import permitting, terms_for
from rolevend.decision.snapshot import Snapshot
from rolevend.kinds import NAME_LABEL
from rolevend.model import ObjectName, PlatformName
from rolevend.policytools.decisions import Requester, unlabelled


@dataclass(frozen=True, slots=True)
class AdmittedRequests:
    """The requests that a platform and an agent permit."""

    purposes: frozenset[str]
    longest_seconds: int


@dataclass(frozen=True, slots=True)
class WithheldRequests:
    """The requests that one side refuses, and the other permits."""

    purposes: frozenset[str]
    above: int
    """Longer lifetimes, up to `most`."""
    most: int

    def __contains__(self, who: Requester) -> bool:
        return who.purpose in self.purposes or self.above < who.seconds <= self.most


Withheld = Mapping[ObjectName, WithheldRequests]


def withheld(own: Snapshot, other: Snapshot, platform: PlatformName) -> Withheld:
    """Return by agent the requests that `own` refuses and `other` permits. Call it before `opened`. An agent that is new, or gone, or that
    the platform does not admit on both sides has none: everything that is granted through it differs, or nothing does."""
    found = {}
    for name in own.agents.keys() & other.agents.keys():
        mine, theirs = _admitted(own, name, platform), _admitted(other, name, platform)
        if mine is not None and theirs is not None:
            refused = WithheldRequests(theirs.purposes - mine.purposes, mine.longest_seconds, theirs.longest_seconds)
            if refused.purposes or refused.above < refused.most:
                found[name] = refused
    return found


def _admitted(snapshot: Snapshot, name: ObjectName, platform: PlatformName) -> AdmittedRequests | None:
    terms, agent = snapshot.platforms.get(platform), snapshot.agents[name]
    if terms is None or unlabelled(snapshot, [name]):
        return None
    labels = {NAME_LABEL: name.namespace, **snapshot.namespaces.get(name.namespace, {})}
    permitted = permitting(agent, terms_for(terms, labels, agent))
    if not permitted:
        return None
    longest = min(agent.longest_seconds, max(each.longest_seconds for each in permitted))
    return AdmittedRequests(frozenset[str]().union(*(each.purposes for each in permitted)), longest)
