"""Objects of a small cluster, as the API server has them, and the snapshot that is built of them; it grants `REQUEST`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rolevend.catalog import Family
from rolevend.controllers.attestation import attestation_of
from rolevend.decision.outcome import Decision, Request
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, Resource, TagBinding, UserAttributes, parse
from rolevend.model import ClusterId, ObjectName, PlatformName, Uid, User
from rolevend.platform_runtime.state import PlatformState
from rolevend.platforms.protocol import CheckResult, Drift, Outcome, ServerFacts
from rolevend.snapshot.builder import SnapshotBuild, SnapshotBuilder, SnapshotInputs
from rolevend.snapshot.conditions.common import StatusEvaluation
from tests.support.manifests import MISSING, Body, changed, valid
from tests.support.policies import catalog, column, table

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CLUSTER, KEY = ClusterId("cluster"), b"k" * 32
WAREHOUSE, CRM = PlatformName("warehouse"), PlatformName("crm")
TABLES = (
    table("claims.people", column("id", Family.INTEGER), column("country"), column("full_name")),
    table("hr.people", column("id", Family.INTEGER)),
)
ANNA = User("idp", "anna")
REQUEST = Request(
    ObjectName("agents", "ask"),
    Uid("0d5f1e7a-0000-4000-8000-000000000001"),
    ObjectName("agents", "finbot"),
    ANNA,
    WAREHOUSE,
    NOW,
    900,
)


def raw(kind: str, name: str, namespace: str, *changes: tuple[str, object], age: int = 0, **metadata: object) -> Body:
    """A valid object as the API server has it, with `changes` as (path, value), made `age` seconds before now."""
    body = valid(kind, name, namespace)
    body["metadata"] |= {
        "uid": f"{kind}-{namespace}-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": f"{NOW - timedelta(seconds=age):%Y-%m-%dT%H:%M:%SZ}",
        **metadata,
    }
    for path, value in changes:
        body = changed(body, path, value)
    return body


def made(kind: type[Resource], name: str, namespace: str = "", age: int = 0, **spec: object) -> Any:
    """The same, parsed; members of `spec` that are None are left out, and without a row filter every row is granted."""
    if "rowFilter" in spec and spec["rowFilter"] is None:
        spec = {"rows": "All", **spec}
    changes = [(f"spec.{member}", MISSING if value is None else value) for member, value in spec.items()]
    return parse(kind, raw(kind.__name__, name, namespace, *changes, age=age))


def raw_policy(row_filter: str = "country IN (user_attr('countries'))", **metadata: object) -> Body:
    everything = ("spec.tables", {"matchNames": [{"schema": "claims", "name": "*"}]}), ("spec.masks", [])
    return raw("AccessPolicy", "analysts", "domain-claims", *everything, ("spec.rowFilter", row_filter), **metadata)


_PLAIN = ("spec.tools", MISSING), ("spec.identity", MISSING)


def raw_agent(name: str = "finbot", **more: Any) -> Body:
    return raw("Agent", name, "agents", ("spec.onBehalfOf", {"assertion": "Trusted"}), *_PLAIN, **more)


def raw_person(**more: Any) -> Body:
    return raw("UserAttributes", "anna", "", ("spec.user", {"issuer": "idp", "subject": "anna"}), **more)


def raw_binding(*changes: tuple[str, object]) -> Body:
    return raw("TagBinding", "pii", "domain-claims", *changes)


OBJECTS = SnapshotInputs(
    agents=[parse(Agent, raw_agent())],
    platforms=[parse(DataPlatform, raw("DataPlatform", name, "")) for name in (WAREHOUSE, CRM)],
    policies=[parse(AccessPolicy, raw_policy())],
    bindings=[parse(TagBinding, raw_binding())],
    people=[parse(UserAttributes, raw_person())],
    namespaces={"agents": {"team": "claims"}},
)


PASSED = (CheckResult("read exactly the permitted rows", Outcome.PASSED),)


def answering(server: str, *drift: Drift) -> PlatformState:
    facts = ServerFacts("18.4", server)
    return PlatformState(None, facts, catalog(*TABLES), drift=drift, attestation=attestation_of(PASSED, facts, None, NOW))


STATES = {name: answering(f"server of {name}") for name in (WAREHOUSE, CRM)}


def paint(objects: SnapshotInputs = OBJECTS, states: dict[PlatformName, PlatformState] | None = None) -> SnapshotBuild:
    return SnapshotBuilder(CLUSTER, KEY).build(objects, states or STATES, "")


def verdict(built: SnapshotBuild, *, role_exists: bool = False, request: Request = REQUEST) -> Decision:
    return built.snapshot.decide(request, role_exists=role_exists)


def judged(built: SnapshotBuild, name: str) -> StatusEvaluation[Resource]:
    (found,) = [each for each in built.evaluations if each.resource.name == name]
    return found


def said(built: SnapshotBuild, name: str, type_: str) -> tuple[str, str]:
    """Status and reason of the condition on the object of this name."""
    return next((each.status, each.reason) for each in judged(built, name).findings if each.type == type_)


def message(built: SnapshotBuild, name: str, type_: str) -> str:
    return next(each.message for each in judged(built, name).findings if each.type == type_)
