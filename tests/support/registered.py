"""Builders of a snapshot: an agent, a platform that admits it, a person, and a policy that grants; each may be changed."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from rolevend.catalog import Family
from rolevend.decision.admission import Agent, AgentAdmission, PlatformAdmission
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import KnownUser
from rolevend.model import AgentHandle, Attributes, ClusterId, ObjectName, PlatformName, Uid, User, UserHandle
from rolevend.policy.index import compile_policies
from rolevend.policy.predicate import parse
from rolevend.policy.statement import Guardrail, Policy
from tests.support.policies import catalog, column, policy, table

CLUSTER = ClusterId("cluster-1")
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ANNA = User("https://idp.example.org", "anna")
WAREHOUSE = PlatformName("warehouse")
REQUEST = Request(
    name=ObjectName("agents", "ask"),
    uid=Uid("2f0c6b1e-6a0e-4f0e-9a52-0c1d2e3f4a5b"),
    agent=ObjectName("agents", "finbot"),
    user=ANNA,
    platform=WAREHOUSE,
    created_at=NOW,
    expiration_seconds=900,
)
AGENT = Agent(ObjectName("agents", "finbot"), AgentHandle("FINBOT"), may_assert=True, users=(), longest_seconds=3600)
PERSON = KnownUser(ANNA, UserHandle("ANNA"), Attributes.of({"department": ["claims"], "countries": ["DE"]}.items()))
TERMS = AgentAdmission({"team": "claims"}, may_assert=True, longest_seconds=3600)
TABLES = (
    table("claims.people", column("id", Family.INTEGER), column("country")),
    table("claims.payments", column("id", Family.INTEGER), column("country")),
)
MINE = policy("mine", row_filter=parse("country IN (user_attr('countries'))"))


def terms(*agents: AgentAdmission, closed: str | None = None) -> PlatformAdmission:
    return PlatformAdmission(WAREHOUSE, closed, {"domain": frozenset({"claims"})}, agents or (TERMS,))


def shapes(*policies: Policy, guardrails: Iterable[Guardrail] = ()) -> ProfileCache:
    return ProfileCache(compile_policies(catalog(*TABLES), policies, guardrails), CLUSTER)


def a_snapshot(**changes: object) -> Snapshot:
    """In which `REQUEST` is granted, unless something is changed."""
    complete = Snapshot(
        cluster=CLUSTER,
        handle_key=b"k" * 32,
        agents={AGENT.name: AGENT},
        people={ANNA: PERSON},
        platforms={WAREHOUSE: terms()},
        namespaces={"agents": {"team": "claims"}},
        shapes={WAREHOUSE: shapes(MINE)},
        pending=None,
    )
    return replace(complete, **changes)  # type: ignore[arg-type]


def granted(**changes: object) -> Granted:
    verdict = a_snapshot(**changes).decide(REQUEST)
    assert isinstance(verdict, Granted), verdict
    return verdict
