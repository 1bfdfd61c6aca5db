"""`rolevend doctor`: each thing that can be wrong with an installation, and the way out. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from rolevend import __version__
from rolevend.cluster_health.facts import AGENT_NAMESPACE, OF_OWNERS, ClusterFacts, labels
from rolevend.kinds import KINDS, Kind
from rolevend.kinds.crd import definition
from rolevend.kinds.shared import GROUP, NEVER_OBSERVED
from rolevend.kube.client import Body
from rolevend.platforms.statement import plain
from rolevend.snapshot.suspension import suspension_of

Level = Literal["wrong", "look", "not read"]
_ORDER: Final[tuple[Level, ...]] = ("wrong", "look", "not read")
ADMISSION: Final = (
    *(
        "credential",
        "decision",
        "delivery",
        "finalizer",
        "origin",
        "reporter",
        "request",
        "request-status",
        "request-withdrawal",
        "revocation",
    ),
    *("token", "vend", "warnings", "writer"),
)
"""The ends of the names of the ValidatingAdmissionPolicies that the chart always has."""
OPERATOR, API = "operator", "api"
"""Values of the label `app.kubernetes.io/component`."""
VERSION_LABEL: Final = "app.kubernetes.io/version"
_COMPONENT: Final = "app.kubernetes.io/component"
_OLD_ATTESTATION: Final = timedelta(days=30)
_NOT_OBSERVED: Final = timedelta(minutes=2)
_SKEW: Final = timedelta(seconds=10)
_UPGRADE: Final = "helm upgrade, with the values of the installation"
_GOVERNED: Final = ("AccessPolicy", "Agent", "Guardrail", "IdentityProvider", "TagBinding", "UserAttributes")
_CONDITIONS: Final = "docs/reference/conditions.md"
_NO_FAULT: Final = ("Suspended", "Disabled")
"""Reasons of conditions that are False because somebody wants it so."""
_WARNING: Final = "Isolated"
"""A condition that only warns if it is False."""


@dataclass(frozen=True, slots=True)
class HealthFinding:
    level: Level
    object: str
    """`Kind namespace/name`, or a part of the installation."""
    message: str
    action: str
    """What to do."""


def findings(facts: ClusterFacts) -> tuple[HealthFinding, ...]:
    """Return the findings, the worst first."""
    found = [
        *_definitions(facts),
        *_deployments(facts),
        *_leader(facts),
        *_clocks(facts),
        *_admission(facts),
        *_rights(facts),
        *_lent_rights(facts),
        *_platforms(facts),
        *_secrets(facts),
        *_governed(facts),
        *_suspension(facts),
        *_gaps(facts),
    ]
    return tuple(sorted(dict.fromkeys(found), key=lambda each: _ORDER.index(each.level)))


def as_text(found: tuple[HealthFinding, ...]) -> str:
    lines = [
        line for each in found for line in (f"{each.level:<8}  {plain(each.object)}: {plain(each.message)}", f"          {each.action}")
    ]
    wrong, look, unread = (sum(each.level == level for each in found) for level in _ORDER)
    outcome = f"{wrong} wrong, {look} to look at, {unread} not read" if found else "nothing is wrong"
    return "\n".join([*lines, outcome])


def as_json(found: tuple[HealthFinding, ...]) -> dict[str, Any]:
    return {
        "healthy": not is_wrong(found),
        "findings": [{"level": each.level, "object": each.object, "message": each.message, "action": each.action} for each in found],
    }


def is_wrong(found: tuple[HealthFinding, ...]) -> bool:
    return any(each.level == "wrong" for each in found)


def component(facts: ClusterFacts, name: str) -> Body | None:
    """Return the Deployment of the operator or of the API."""
    return next((each for each in facts.of("Deployment") if labels(each).get(_COMPONENT) == name), None)


def condition(body: Body, type_: str) -> Body | None:
    return next((each for each in (body.get("status") or {}).get("conditions") or () if each["type"] == type_), None)


def shown(body: Body, kind: str) -> str:
    metadata = body["metadata"]
    return f"{kind} {'/'.join(metadata[part] for part in ('namespace', 'name') if part in metadata)}"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _definitions(facts: ClusterFacts) -> Iterator[HealthFinding]:
    there = {each["metadata"]["name"]: each for each in facts.of("CustomResourceDefinition")}
    for kind in KINDS:
        name = f"{kind.plural}.{GROUP}"
        if not facts.is_read("CustomResourceDefinition"):
            if any(gap.part == kind.name and gap.is_missing for gap in facts.gaps):
                yield HealthFinding("wrong", f"definition {name}", "is missing", f"run {_UPGRADE}, or kubectl apply -f crds")
        elif name not in there:
            yield HealthFinding("wrong", f"definition {name}", "is missing", f"run {_UPGRADE}, or kubectl apply -f crds")
        else:
            yield from _definition(kind, name, there[name], facts.reader)


def _definition(kind: Kind, name: str, body: Body, reader: str) -> Iterator[HealthFinding]:
    established = condition(body, "Established")
    if established is None or established["status"] != "True":
        message = "is not established" if established is None else f"is not established: {established.get('message', '')}"
        yield HealthFinding("wrong", f"definition {name}", message, f"kubectl describe crd {name}")
    ours, theirs = (_fields(each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) for each in (definition(kind), body))
    if missing := sorted(ours - theirs):
        message = f"is older than this {reader}, which is {__version__}: it has no field {_some(missing)}, so the API server drops it"
        yield HealthFinding("wrong", f"definition {name}", message, f"run {_UPGRADE}, with the chart of {__version__}")
    if more := sorted(theirs - ours):
        message = f"is newer than this {reader}, which is {__version__}: it has the field {_some(more)}"
        yield HealthFinding("look", f"definition {name}", message, f"use the {reader} of the version that is installed")


def _fields(schema: Body, path: str = "") -> set[str]:
    found: set[str] = set()
    for name, below in (schema.get("properties") or {}).items():
        found |= {f"{path}.{name}".removeprefix("."), *_fields(below, f"{path}.{name}")}
    return found | (_fields(schema["items"], f"{path}[]") if isinstance(schema.get("items"), dict) else set())


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]}, and {len(names) - 1} more"


def _deployments(facts: ClusterFacts) -> Iterator[HealthFinding]:
    if facts.is_read("Deployment") and component(facts, OPERATOR) is None:
        message = f"no Deployment of the operator is in namespace {facts.namespace}"
        yield HealthFinding("wrong", "operator", message, "name its namespace with --namespace, or install the chart")
    versions: dict[str, list[str]] = {}
    for each in facts.of("Deployment"):
        name, wanted = f"Deployment {each['metadata']['name']}", each["spec"].get("replicas", 1)
        ready = (each.get("status") or {}).get("readyReplicas", 0)
        versions.setdefault(labels(each).get(VERSION_LABEL, "unknown"), []).append(each["metadata"]["name"])
        if wanted == 0:
            yield HealthFinding(
                "wrong",
                name,
                "is scaled to 0",
                f"kubectl scale --namespace {facts.namespace} --replicas 1 {name.replace(' ', '/').lower()}",
            )
        elif ready < wanted:
            action = f"kubectl describe --namespace {facts.namespace} {name.replace(' ', '/').lower()}"
            runs = not facts.is_read("Pod") or any(_selects(each, pod) and _is_running(pod) for pod in facts.of("Pod"))
            message = f"{ready} of {wanted} replicas are ready{'' if runs else ', and it has no pod that runs'}"
            yield HealthFinding("wrong" if ready == 0 else "look", name, message, action)
    if len(versions) > 1:
        told = "; ".join(f"{', '.join(names)}: {version}" for version, names in sorted(versions.items()))
        yield HealthFinding(
            "wrong", "versions", f"the parts have different versions: {told}", f"run {_UPGRADE}, so that all get one version"
        )
    elif versions and __version__ not in versions:
        message = f"the installation has version {next(iter(versions))}, and this {facts.reader} {__version__}"
        yield HealthFinding("look", "versions", message, f"use the {facts.reader} of the version that is installed")
    for pod in facts.of("Pod"):
        if any(_selects(each, pod) for each in facts.of("Deployment")):
            yield from _pod(pod, facts.namespace)


def _is_running(pod: Body) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"


def _selects(deployment: Body, pod: Body) -> bool:
    return bool(deployment["spec"]["selector"]["matchLabels"].items() <= labels(pod).items())


def _pod(pod: Body, namespace: str) -> Iterator[HealthFinding]:
    name = pod["metadata"]["name"]
    for each in (pod.get("status") or {}).get("containerStatuses") or ():
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            message = f"container {each['name']} waits: {waiting['reason']} {waiting.get('message', '')}".strip()
            yield HealthFinding(
                "wrong", f"Pod {name}", message, f"kubectl logs --namespace {namespace} --previous {name} -c {each['name']}"
            )


def _leader(facts: ClusterFacts) -> Iterator[HealthFinding]:
    if not facts.is_read("Lease"):
        return
    lease, way_out = f"Lease {facts.namespace}/rolevend-operator", _logs(facts)
    spec: Body = next((each["spec"] for each in facts.of("Lease")), {})
    if not spec.get("holderIdentity"):
        yield HealthFinding("wrong", lease, "no operator leads, so nothing is vended or dropped", way_out)
        return
    now = facts.server_time or facts.read_at
    silent = now - moment(spec["renewTime"])
    if silent > timedelta(seconds=spec["leaseDurationSeconds"]) + _SKEW:
        message = f"{spec['holderIdentity']} leads and did not renew for {ago(silent)}, so nothing is vended or dropped"
        yield HealthFinding("wrong", lease, message, way_out)


def _clocks(facts: ClusterFacts) -> Iterator[HealthFinding]:
    """The API server and the operator stamp the same renewal, each by its own clock."""
    synchronize = "synchronize the clocks (NTP): tokens and expiries are judged by them"
    if facts.server_time is not None and abs(facts.read_at - facts.server_time) > _SKEW:
        message = f"differs from that of the API server by {ago(abs(facts.read_at - facts.server_time))}"
        machine = "this machine" if facts.reader == "command" else "the console"
        yield HealthFinding("look", f"clock of {machine}", message, synchronize)
    for lease in facts.of("Lease"):
        written = [each["time"] for each in lease["metadata"].get("managedFields") or () if each.get("time")]
        if written and lease["spec"].get("renewTime"):
            skew = abs(moment(lease["spec"]["renewTime"]) - max(map(moment, written)))
            if skew > _SKEW:
                message = f"differs from that of the API server by {ago(skew)}"
                yield HealthFinding("wrong", "clock of the operator", message, synchronize)


def _admission(facts: ClusterFacts) -> Iterator[HealthFinding]:
    ours = {each["metadata"]["name"] for each in facts.of("ValidatingAdmissionPolicy")}
    bound = {each["spec"]["policyName"] for each in facts.of("ValidatingAdmissionPolicyBinding")}
    if not (facts.is_read("ValidatingAdmissionPolicy") and facts.is_read("ValidatingAdmissionPolicyBinding")):
        return
    for end in (*ADMISSION, *(["binding"] if any(_bindings_of_owners(facts)) else [])):
        names = [name for name in ours if name.endswith(f"-{end}")]
        if not names:
            yield HealthFinding(
                "wrong", f"ValidatingAdmissionPolicy …-{end}", "is missing: users could forge what it protects", f"run {_UPGRADE}"
            )
        elif not any(name in bound for name in names):
            message = "has no ValidatingAdmissionPolicyBinding, so it protects nothing"
            yield HealthFinding("wrong", f"ValidatingAdmissionPolicy {names[0]}", message, f"run {_UPGRADE}")
    for name in sorted(ours & bound):
        if name.endswith("-closed"):
            action = f"wait for the drain, or reopen: kubectl delete validatingadmissionpolicybinding {name}"
            yield HealthFinding("wrong", f"ValidatingAdmissionPolicyBinding {name}", "vending is closed by rolevend drain", action)


def _rights(facts: ClusterFacts) -> Iterator[HealthFinding]:
    operator = component(facts, OPERATOR)
    if operator is None:
        return
    account = operator["spec"]["template"]["spec"].get("serviceAccountName", "default")
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        subjects = [subject for each in facts.of(kind) for subject in each.get("subjects") or ()]
        if facts.is_read(kind) and not any(
            (each["kind"], each["name"], each.get("namespace")) == ("ServiceAccount", account, facts.namespace) for each in subjects
        ):
            message = f"no {kind} of the chart names it, so the operator may not do its work"
            yield HealthFinding("wrong", f"ServiceAccount {facts.namespace}/{account}", message, f"run {_UPGRADE}")


def _lent_rights(facts: ClusterFacts) -> Iterator[HealthFinding]:
    """Admission refuses these bindings. One that was created before its policy, or without it, stays."""
    for each, account in _bindings_of_owners(facts):
        metadata, role = each["metadata"], each["roleRef"]["name"]
        namespace = metadata.get("namespace")
        others = [
            subject
            for subject in each.get("subjects") or ()
            if (subject["kind"], subject["name"], subject.get("namespace")) != ("ServiceAccount", account, facts.namespace)
        ]
        if others or namespace is None:
            kind, place = ("ClusterRoleBinding", "") if namespace is None else ("RoleBinding", f" --namespace {namespace}")
            yield HealthFinding(
                "wrong",
                shown(each, kind),
                f"binds {role}, which is for ServiceAccount {facts.namespace}/{account} alone, in single namespaces",
                f"kubectl delete {kind.lower()}{place} {metadata['name']}",
            )


def _bindings_of_owners(facts: ClusterFacts) -> Iterator[tuple[Body, str]]:
    """Yield each binding by which an owner makes a namespace one of agents, and the ServiceAccount that it is for."""
    operator = component(facts, OPERATOR)
    if operator is None:
        return
    name = operator["metadata"]["name"]
    roles = {f"{name}{AGENT_NAMESPACE}": operator, f"{name}-api{AGENT_NAMESPACE}": component(facts, API)}
    for each in facts.of(OF_OWNERS):
        if (deployment := roles.get(each["roleRef"]["name"])) is not None:
            yield each, deployment["spec"]["template"]["spec"].get("serviceAccountName", "default")


def _platforms(facts: ClusterFacts) -> Iterator[HealthFinding]:
    operator = component(facts, OPERATOR)
    version = None if operator is None else labels(operator).get(VERSION_LABEL)
    for platform in facts.of("DataPlatform"):
        name, status = platform["metadata"]["name"], platform.get("status") or {}
        for level, each in _causes(status.get("conditions") or ()):
            yield HealthFinding(level, f"DataPlatform {name}", _told(each), f"see {each['reason']} in {_CONDITIONS}#dataplatform")
        yield from _unobserved(facts, platform, "DataPlatform")
        if platform["spec"].get("suspend"):
            yield _suspended("DataPlatform", platform)
        attestation = status.get("attestation")
        if attestation is not None:
            action = f"rolevend platform attest {name}"
            age = (facts.server_time or facts.read_at) - moment(attestation["time"])
            if age > _OLD_ATTESTATION:
                yield HealthFinding("look", f"DataPlatform {name}", f"its attestation is {age.days} days old", action)
            if version is not None and attestation["rolevendVersion"] != version:
                message = f"its attestation is by version {attestation['rolevendVersion']}, and the operator is {version}"
                yield HealthFinding("look", f"DataPlatform {name}", message, action)


def _causes(conditions: Sequence[Body]) -> Iterator[tuple[Level, Body]]:
    """Yield the conditions that say what is wrong; `Ready` only if no other one does."""
    false = [each for each in conditions if each["status"] == "False" and each["reason"] not in _NO_FAULT]
    warnings = [each for each in false if each["type"] == _WARNING]
    faults = [each for each in false if each["type"] != _WARNING]
    yield from (("wrong", each) for each in [each for each in faults if each["type"] != "Ready"] or faults)
    yield from (("look", each) for each in warnings)
    yield from (("look", each) for each in conditions if (each["type"], each["status"]) == ("Attested", "Unknown"))


def _secrets(facts: ClusterFacts) -> Iterator[HealthFinding]:
    for each in facts.secret_faults:
        action = (
            "rolevend platform install writes the Secrets of a platform again" if each.object.startswith("DataPlatform") else "renew it"
        )
        yield HealthFinding("wrong", each.object, each.reason, action)


def _governed(facts: ClusterFacts) -> Iterator[HealthFinding]:
    for kind in _GOVERNED:
        for body in facts.of(kind):
            ready = condition(body, "Ready")
            if (body.get("spec") or {}).get("suspend"):
                yield _suspended(kind, body)
            elif ready is not None and ready["status"] == "False":
                yield HealthFinding("wrong", shown(body, kind), _told(ready), f"see {ready['reason']} in {_CONDITIONS}")
            yield from _unobserved(facts, body, kind)


def _unobserved(facts: ClusterFacts, body: Body, kind: str) -> Iterator[HealthFinding]:
    observed = (body.get("status") or {}).get("observedGeneration", NEVER_OBSERVED)
    age = (facts.server_time or facts.read_at) - moment(body["metadata"]["creationTimestamp"])
    if observed == NEVER_OBSERVED and age > _NOT_OBSERVED:
        message = f"no operator has evaluated it since it was created, {ago(age)} ago"
        yield HealthFinding("wrong", shown(body, kind), message, _logs(facts))


def _suspended(kind: str, body: Body) -> HealthFinding:
    return HealthFinding("look", shown(body, kind), "spec.suspend is true: its roles ended, and none is vended", "set it to false to go on")


def _suspension(facts: ClusterFacts) -> Iterator[HealthFinding]:
    sentence = suspension_of(facts.of("ConfigMap"))
    if sentence is not None:
        yield HealthFinding("look", "cluster", sentence, "docs/how-to/end-access-now.md says how to resume")


def _gaps(facts: ClusterFacts) -> Iterator[HealthFinding]:
    for gap in facts.gaps:
        if not (gap.is_missing and any(kind.name == gap.part for kind in KINDS)):
            yield HealthFinding("not read", gap.part, gap.reason, "ask an administrator of the cluster to run this command")


def _logs(facts: ClusterFacts) -> str:
    operator = component(facts, OPERATOR)
    return f"kubectl logs --namespace {facts.namespace} deployment/{operator['metadata']['name'] if operator else 'rolevend'}"


def _told(each: Body) -> str:
    return f"{each['type']} is {each['status']} ({each['reason']}): {each.get('message', '')}"


def ago(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
