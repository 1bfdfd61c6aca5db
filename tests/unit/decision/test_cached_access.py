"""A snapshot keeps what a person's requests give access to. Each decision is the one of a snapshot that has decided nothing before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rolevend.catalog import TableId
from rolevend.decision import snapshot
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.proof import Actor, Claimed, ClientIdentity, Presented, Proof, ProofContext, Unproven, UserProof, UserToken
from rolevend.decision.snapshot import Snapshot
from rolevend.model import AgentHandle, Attributes, ObjectName, PlatformName, Task, Uid, User, UserHandle, Version
from rolevend.policy.predicate import parse
from rolevend.policy.statement import Requirement
from tests.support.policies import policy
from tests.support.registered import AGENT, ANNA, NOW, PERSON, REQUEST, TERMS, WAREHOUSE, a_snapshot, shapes, terms
from tests.support.tiers import by_tier

ANNEX = PlatformName("annex")
BORIS, NOBODY = User(ANNA.issuer, "boris"), User(ANNA.issuer, "nobody")
PROVING = replace(
    AGENT,
    name=ObjectName("agents", "prover"),
    handle=AgentHandle("PROVER"),
    may_assert=False,
    users=(Requirement("department", frozenset({"claims", "hr"})),),
    identity=ClientIdentity(ANNA.issuer, frozenset({"prover"}), "prover"),
    version=Version("Agent", "agents/prover", Uid("a"), 1),
)
ISSUERS = {ANNA.issuer: Version("IdentityProvider", "workforce", Uid("i"), 1)}
BASES = (None, ProofContext(PROVING.version, ISSUERS), ProofContext(None, {}))
PEOPLE, PAYMENTS, HIDDEN = (TableId("claims", name) for name in ("people", "payments", "hidden"))
MANY = settings(max_examples=by_tier(100, 1_000), deadline=None)


def decides() -> Snapshot:
    """Two agents, two platforms and two known people, and policies that read the person, the purpose and the agent."""
    policies = (
        policy("mine", row_filter=parse("country IN (user_attr('countries'))")),
        policy("hr", users=(Requirement("department", frozenset({"hr"})),), row_filter=parse("country = user_attr('office')")),
    )
    entries = (replace(TERMS, purposes=frozenset({"audit"}), may_prove=True, agent_user="FINBOT"),)
    open_, closed = terms(*entries), terms(*entries, closed="it is closed")
    boris = replace(PERSON, user=BORIS, handle=None, attributes=Attributes.of({"department": ["hr"], "office": ["AT"]}.items()))
    return a_snapshot(
        agents={AGENT.name: AGENT, PROVING.name: PROVING},
        people={ANNA: PERSON, BORIS: boris},
        platforms={WAREHOUSE: open_, ANNEX: replace(closed, name=ANNEX)},
        shapes={WAREHOUSE: shapes(*policies), ANNEX: shapes(policies[0])},
        issuers=ISSUERS,
    )


claimed = st.lists(
    st.builds(
        Claimed,
        st.sampled_from(["department", "countries", "office", "another"]),
        st.sampled_from([("claims",), ("hr",), ("AT",), ("AT", "DE")]),
        st.sampled_from(["claim groups", "claim office"]),
    ),
    max_size=3,
    unique_by=lambda each: each.key,
).map(tuple)
proofs = st.builds(
    Proof,
    st.sampled_from(UserProof),
    st.sampled_from(["workforce", "partner"]),
    st.just("AccessToken"),
    st.sampled_from(["digest-1", "digest-2"]),
    st.sampled_from([NOW + timedelta(seconds=60), NOW + timedelta(hours=9)]),
    st.sampled_from([None, UserHandle("FROM"), UserHandle("TOKEN")]),
    claimed,
    st.frozensets(st.sampled_from(["department", "office", "unread"]), max_size=1),
    st.sampled_from([(), (Actor(ANNA.issuer, "prover"),)]),
    st.sampled_from(BASES),
)
unproven = st.builds(Unproven, st.just("Expired"), st.just("it is expired"), st.just("digest"), st.sampled_from(BASES[1:]))
requests = st.builds(
    Request,
    name=st.sampled_from([REQUEST.name, ObjectName("agents", "another")]),
    uid=st.uuids(version=4).map(lambda each: Uid(str(each))),
    agent=st.sampled_from([AGENT.name, PROVING.name, ObjectName("agents", "unknown")]),
    user=st.sampled_from([ANNA, BORIS, NOBODY]),
    platform=st.sampled_from([WAREHOUSE, ANNEX]),
    created_at=st.sampled_from([NOW, NOW + timedelta(seconds=7)]),
    expiration_seconds=st.sampled_from([300, 900, 90_000]),
    purpose=st.sampled_from([None, "audit", "another"]),
    resources=st.sampled_from([None, (PEOPLE,), (PAYMENTS, PEOPLE), (HIDDEN,)]),
    requested_by=st.sampled_from([None, "system:admin"]),
    token=st.sampled_from([None, Presented(), UserToken("secret", "token")]),
    proof=st.none() | proofs | unproven,
    task=st.sampled_from([None, Task("a"), Task("b")]),
    request_id=st.sampled_from([None, "call-1"]),
    allow_partial=st.booleans(),
)
asked = st.lists(st.tuples(requests, st.booleans()), min_size=2, max_size=12)


def whole(decision: Any) -> Any:
    """With the members that comparisons of decisions ignore."""
    return (
        (decision, decision.granted_by, decision.behind)
        if isinstance(decision, Granted)
        else (decision, getattr(decision, "missing", None))
    )


@MANY
@given(asked)
def test_each_decision_is_that_of_a_snapshot_that_decided_nothing_before(each_asked: list[tuple[Request, bool]]):
    keeps = decides()

    for request, role_exists in each_asked * 2:
        fresh = replace(keeps).decide(request, role_exists=role_exists)
        assert whole(keeps.decide(request, role_exists=role_exists)) == whole(fresh)


def test_a_grant_is_for_its_own_user_and_object_whatever_was_granted_before():
    keeps = decides()
    proof = Proof(UserProof.TOKEN, "workforce", "AccessToken", "digest-1", NOW + timedelta(hours=1), basis=BASES[1])
    anna = replace(REQUEST, agent=PROVING.name, token=Presented(), proof=proof)
    boris = replace(anna, user=BORIS)
    later = replace(anna, uid=Uid("00000000-0000-4000-8000-000000000001"), proof=replace(proof, digest="digest-2"), task=Task("b"))

    first, second, third = (keeps.decide(each) for each in (anna, boris, later))

    assert isinstance(first, Granted)
    assert isinstance(second, Granted)
    assert isinstance(third, Granted)
    assert (first.lease.user, second.lease.user, third.lease.user) == (ANNA, BORIS, ANNA)
    assert first.lease.attributes != second.lease.attributes
    assert len({first.lease.role, second.lease.role, third.lease.role}) == 3
    assert third.proof is not None
    assert (third.proof.digest, third.lease.task) == ("digest-2", Task("b"))


def test_what_a_snapshot_keeps_has_a_bound():
    keeps = decides()
    several = [replace(REQUEST, user=User(ANNA.issuer, f"user-{number}")) for number in range(snapshot._MAX_ACCESSES + 10)]

    for each in several:
        keeps.decide(each)

    assert 0 < len(keeps._accesses) <= snapshot._MAX_ACCESSES
    assert whole(keeps.decide(several[0])) == whole(replace(keeps).decide(several[0]))
