"""`rolevend status`: one screen on an installation: versions, platforms, problems, open requests, suspensions, queue. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rolevend import __version__
from rolevend.cluster_health.facts import CHART_LABEL, ClusterFacts, labels
from rolevend.cluster_health.findings import (
    API,
    OPERATOR,
    VERSION_LABEL,
    ago,
    component,
    condition,
    moment,
    shown,
)
from rolevend.kinds import KINDS
from rolevend.kinds.shared import GROUP
from rolevend.kube.client import Body
from rolevend.platforms.statement import plain
from rolevend.snapshot.suspension import suspension_of
from rolevend.text_table import rendered

_MOST_LINES: Final = 10
_LONGEST: Final = 110
_PROBLEMS: Final = ("AccessPolicy", "Agent", "Guardrail", "TagBinding", "IdentityProvider", "UserAttributes")
_SUSPENDABLE: Final = ("DataPlatform", "Agent", "AccessPolicy", "UserAttributes")
_OPEN: Final = "Pending"
CONDITIONS: Final = ("Ready", "Accepted", "Attested", "InSync")
ROLES: Final = ("Live", "Pending", "Dropping")


@dataclass(frozen=True, slots=True)
class PlatformOverview:
    name: str
    conditions: tuple[str, ...]
    """The status of each of `CONDITIONS`; empty if there is none."""
    roles: tuple[int, ...] | None
    """The number of roles by each of `ROLES`, or None if VendedRoles were not read."""
    messages: tuple[str, ...] = ()
    """Of the conditions that are not True."""


@dataclass(frozen=True, slots=True)
class Overview:
    versions: tuple[tuple[str, str], ...]
    platforms: tuple[PlatformOverview, ...]
    problems: tuple[tuple[str, str], ...]
    """Objects that are not Ready, with the cause. Suspended ones are not among them."""
    requests: tuple[tuple[str, str], ...]
    """Open access requests, the oldest first, with what is asked for."""
    suspended: tuple[str, ...]
    queue: str
    not_read: tuple[str, ...]


def overview(facts: ClusterFacts) -> Overview:
    now = facts.server_time or facts.read_at
    states = Counter((each["name"], each["state"]) for role in facts.of("VendedRole") for each in _states(role))
    return Overview(
        tuple(_versions(facts)),
        tuple(_platform(facts, each, states) for each in facts.of("DataPlatform")),
        tuple(_problems(facts)),
        tuple(_requests(facts.of("AccessRequest"), now)),
        tuple(_suspended(facts)),
        _queue(facts, now),
        tuple(f"{gap.part}: {gap.reason}" for gap in facts.gaps),
    )


def as_json(found: Overview) -> dict[str, Any]:
    return {
        "versions": dict(found.versions),
        "platforms": [
            {
                "name": each.name,
                "conditions": {type_: status or None for type_, status in zip(CONDITIONS, each.conditions, strict=True)},
                "roles": None if each.roles is None else {name.lower(): count for name, count in zip(ROLES, each.roles, strict=True)},
            }
            for each in found.platforms
        ],
        "problems": [{"object": name, "message": message} for name, message in found.problems],
        "requests": [{"object": name, "asks": asks} for name, asks in found.requests],
        "suspended": list(found.suspended),
        "queue": found.queue,
        "notRead": list(found.not_read),
    }


def as_text(found: Overview) -> str:
    return "\n".join(plain(line) for line in _lines(found))


def _lines(found: Overview) -> Iterator[str]:
    for name, version in found.versions:
        yield f"{name:<12}{version}"
    yield ""
    if found.platforms:
        head = ("Platform", *CONDITIONS, *ROLES)
        rows = [(each.name, *each.conditions, *map(str, each.roles or ("?",) * len(ROLES))) for each in found.platforms]
        yield from rendered(head, rows, "text").splitlines()
    else:
        yield "no DataPlatform"
    yield f"queue: {found.queue}"
    yield from _section("not ready", [f"{name}: {message}" for name, message in found.problems])
    yield from _section("open requests", [f"{name}: {asks}" for name, asks in found.requests])
    yield from _section("suspended", found.suspended)
    yield from _section("not read", found.not_read)


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}: {len(lines)}"
    for line in lines[:_MOST_LINES]:
        yield f"  {line}" if len(line) <= _LONGEST else f"  {line[:_LONGEST]}…"
    if len(lines) > _MOST_LINES:
        yield f"  and {len(lines) - _MOST_LINES} more; -o json has all"


def _versions(facts: ClusterFacts) -> Iterator[tuple[str, str]]:
    yield facts.reader, __version__
    if facts.is_read("CustomResourceDefinition"):
        names = {each["metadata"]["name"] for each in facts.of("CustomResourceDefinition")}
        charts = {labels(each).get(CHART_LABEL) for each in facts.of("CustomResourceDefinition")} - {None}
        count = sum(f"{kind.plural}.{GROUP}" in names for kind in KINDS)
        chart = f", chart {', '.join(sorted(map(str, charts)))}" if charts else ""
        yield "definitions", f"{count} of {len(KINDS)}{chart}"
    if not facts.is_read("Deployment"):
        return
    for name in (OPERATOR, API):
        deployment = component(facts, name)
        if deployment is not None:
            status = deployment.get("status") or {}
            ready = f"{status.get('readyReplicas', 0)} of {deployment['spec'].get('replicas', 1)} ready"
            yield name, f"{labels(deployment).get(VERSION_LABEL, 'unknown')} ({labels(deployment).get(CHART_LABEL)}), {ready}"
        elif name == OPERATOR:
            yield name, f"no Deployment in namespace {facts.namespace}"
    for lease in facts.of("Lease"):
        yield "leader", lease["spec"].get("holderIdentity") or "nobody"


def _platform(facts: ClusterFacts, body: Body, states: Counter[tuple[str, str]]) -> PlatformOverview:
    name = body["metadata"]["name"]
    conditions = [condition(body, type_) for type_ in CONDITIONS]
    told = tuple("" if each is None else each["status"] if each["status"] == "True" else each["reason"] for each in conditions)
    roles = tuple(states[name, state] for state in ROLES) if facts.is_read("VendedRole") else None
    messages = (f"{each['type']}: {each['message']}" for each in conditions if each and each["status"] != "True" and each.get("message"))
    return PlatformOverview(name, told, roles, tuple(messages))


def _states(role: Body) -> Sequence[Body]:
    states: Sequence[Body] = (role.get("status") or {}).get("platforms") or ()
    return states


def _problems(facts: ClusterFacts) -> Iterator[tuple[str, str]]:
    for kind in ("DataPlatform", *_PROBLEMS):
        for body in facts.of(kind):
            ready = condition(body, "Ready")
            if ready is not None and ready["status"] == "False" and not (body.get("spec") or {}).get("suspend"):
                yield shown(body, kind), f"{ready['reason']}: {ready.get('message', '')}"


def _requests(requests: Sequence[Body], now: datetime) -> Iterator[tuple[str, str]]:
    waiting = [each for each in requests if (each.get("status") or {}).get("state", _OPEN) == _OPEN]
    for each in sorted(waiting, key=lambda body: str(body["metadata"]["creationTimestamp"])):
        spec, since = each["spec"], ago(now - moment(each["metadata"]["creationTimestamp"]))
        offer = f"{spec['offerRef']['namespace']}/{spec['offerRef']['name']}"
        yield shown(each, "AccessRequest"), f"{spec['agentRef']['name']} for {spec['user']['subject']} asks for {offer}, since {since}"


def _suspended(facts: ClusterFacts) -> Iterator[str]:
    if sentence := suspension_of(facts.of("ConfigMap")):
        yield sentence
    for kind in _SUSPENDABLE:
        yield from (shown(body, kind) for body in facts.of(kind) if (body.get("spec") or {}).get("suspend"))


def _queue(facts: ClusterFacts, now: datetime) -> str:
    if not facts.is_read("VendedRole"):
        return "VendedRoles were not read"
    waiting = [role for role in facts.of("VendedRole") if any(each["state"] in ("Pending", "Dropping") for each in _states(role))]
    if not waiting:
        return "no role waits for a vend or a drop"
    oldest = min(moment(role["metadata"].get("deletionTimestamp") or role["metadata"]["creationTimestamp"]) for role in waiting)
    roles = "1 role waits" if len(waiting) == 1 else f"{len(waiting)} roles wait"
    return f"{roles} for a vend or a drop, the oldest since {ago(now - oldest)}"
