"""Agents that stand for those that are in no file: one for each combination of attributes that a DataPlatform can give an agent, and for
each agent that a condition names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, islice
from typing import Final

from rolevend.decision.admission import AgentAdmission
from rolevend.decision.snapshot import Snapshot
from rolevend.kinds import NAME_LABEL
from rolevend.kinds.text import LABEL_PATTERN
from rolevend.model import ObjectName
from rolevend.policytools.decisions import ANY_AGENT, stand_in
from rolevend.policytools.distinctions import AGENT_NAME, AGENT_NAMESPACE, Distinctions

MOST_ENTRIES: Final = 3
"""At most so many entries of `spec.agents` select one stand-in."""
MOST_STAND_INS: Final = 256


@dataclass(frozen=True, slots=True)
class StandIn:
    name: ObjectName
    labels: Mapping[str, str]
    """Of its namespace."""


def stand_ins(sides: Sequence[Distinctions], entries: Sequence[AgentAdmission]) -> tuple[list[StandIn], bool]:
    """Return the stand-ins of a platform whose `spec.agents` are `entries`, and True if some are left out. None if no statement reads
    anything of an agent."""
    read = [side for side in sides if side.agent_reads or side.grants_to_agents or {AGENT_NAME, AGENT_NAMESPACE} & side.members]
    if not read:
        return [], False
    spaces = _namespaces(sides)
    selectors = list({(tuple(sorted(each.labels.items())), each.names): each for each in entries}.values())
    most = min(MOST_ENTRIES, len(selectors))
    subsets = chain.from_iterable(combinations(selectors, number) for number in range(1, most + 1))
    found = {each.name: each for each in islice(chain(_named(sides, spaces), _selected(subsets, spaces)), MOST_STAND_INS + 1)}
    return list(found.values())[:MOST_STAND_INS], len(found) > MOST_STAND_INS or len(selectors) > MOST_ENTRIES


def added(snapshot: Snapshot, found: Iterable[StandIn]) -> Snapshot:
    """Return the snapshot with the stand-ins. `snapshot` is `opened`."""
    new = [each for each in found if each.name not in snapshot.agents]
    agents = {each.name: stand_in(each.name) for each in new}
    namespaces = {each.name.namespace: each.labels for each in new if each.name.namespace not in snapshot.namespaces}
    return replace(snapshot, agents={**snapshot.agents, **agents}, namespaces={**snapshot.namespaces, **namespaces})


def _namespaces(sides: Sequence[Distinctions]) -> dict[str, Mapping[str, str]]:
    return {name: labels for side in sides for name, labels in side.snapshot.namespaces.items() if name}


def _named(sides: Sequence[Distinctions], spaces: Mapping[str, Mapping[str, str]]) -> Iterator[StandIn]:
    """Yield the agents and namespaces that conditions name."""
    names, namespaces = (
        sorted(each for side in sides for each in side.texts(member) if re.search(LABEL_PATTERN, each))
        for member in (AGENT_NAME, AGENT_NAMESPACE)
    )
    for namespace in dict.fromkeys([*namespaces, *(spaces if names else ())]):
        for name in (*names, ANY_AGENT.name):
            yield StandIn(ObjectName(namespace, name), spaces.get(namespace, {NAME_LABEL: namespace}))


def _selected(subsets: Iterable[tuple[AgentAdmission, ...]], spaces: Mapping[str, Mapping[str, str]]) -> Iterator[StandIn]:
    """Yield an agent that all entries of a subset select, for each subset for which there can be one."""
    for entries in subsets:
        labels: dict[str, str] = {}
        for each in entries:
            labels = {**each.labels, **labels}
        named = [each.names for each in entries if each.names is not None]
        names = sorted(frozenset.intersection(*named)) if named else [ANY_AGENT.name]
        if all(labels[key] == value for each in entries for key, value in each.labels.items()):
            namespace, having = _namespace(labels, spaces)
            yield from (StandIn(ObjectName(namespace, name), having) for name in names)


def _namespace(labels: Mapping[str, str], spaces: Mapping[str, Mapping[str, str]]) -> tuple[str, Mapping[str, str]]:
    """Return a namespace with these labels, one of the files if there is one."""
    own = labels.get(NAME_LABEL)
    for name, having in spaces.items():
        if own in (None, name) and all(having.get(key) == value for key, value in labels.items()):
            return name, having
    others = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != NAME_LABEL)
    name = " ".join(each for each in (own, f"[{others}]" if others else "") if each) or "any namespace"
    return name, labels
