"""What an audit event tells: everything that the decision read and gave, within bounds, and the same event when a step runs twice."""

import json
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from rolevend.audit.api_events import Bearer, RefusedCall, refused, release_requested
from rolevend.audit.events import GrantedEvent
from rolevend.audit.evidence import access_summary
from rolevend.audit.role_events import denied, dropped, granted, orphan_dropped
from rolevend.catalog import Family
from rolevend.controllers.reconciler import VendedRoleReconciler
from rolevend.decision.outcome import Granted
from rolevend.decision.profile_cache import ProfileCache
from rolevend.decision.snapshot import Snapshot
from rolevend.errors import Conflict
from rolevend.model import Attributes, ObjectName, RoleName, Task
from rolevend.plan import Cell, ColumnShape, Profile, ProfileName, TableShape
from rolevend.platforms.protocol import EndReason
from rolevend.policy.expression import Condition
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Clear, Hash, Partial
from rolevend.policy.predicate import parse
from rolevend.policy.request_context import Combination, GrantTarget
from rolevend.policy.statement import Requirement
from rolevend.roles.audit_recorder import AuditMemory, AuditRecorder
from rolevend.roles.door import Door
from rolevend.roles.objects import VendedRoleWriter
from rolevend.roles.quota import RoleQuota
from rolevend.roles.store import RoleStore
from rolevend.roles.user_authenticator import UserAuthenticator
from rolevend.roles.vender import Vender
from rolevend.telemetry.metrics import Metrics
from tests.support import painted, registered
from tests.support.approvals import NoApprovals
from tests.support.events import OTHERS, SOURCES, UID, Free, Taken, Trail, a_snapshot, end, version
from tests.support.manifests import MISSING
from tests.support.policies import catalog, guardrail, policy
from tests.support.registered import AGENT, ANNA, CLUSTER, MINE, NOW, PERSON, REQUEST, TABLES, WAREHOUSE, shapes


def grant(known: Snapshot | None = None) -> GrantedEvent:
    asked = replace(REQUEST, requested_by="system:serviceaccount:agents:finbot")
    found = known or a_snapshot()
    verdict = found.decide(asked)
    assert isinstance(verdict, Granted)
    return granted(asked, verdict, found, access_summary(verdict.tables), NOW)


def test_a_grant_tells_who_asked_for_whom_and_how_the_user_was_proven():
    body = grant().data

    assert (
        body.items()
        >= {
            "role": grant().subject,
            "request": "agents/ask",
            "requestUid": REQUEST.uid,
            "requestedBy": "system:serviceaccount:agents:finbot",
            "requestedAt": "2026-11-24T12:00:00.000Z",
            "expirationSeconds": 900,
            "platform": "warehouse",
            "agent": "agents/finbot",
            "agentHandle": "FINBOT",
            "userIssuer": "https://idp.example.org",
            "userSubject": "anna",
            "userHandle": "ANNA",
            "userProof": "Asserted",
            "expiresAt": "2026-11-24T12:15:00.000Z",
        }.items()
    )


def test_a_grant_a_denial_and_an_end_tell_the_task_and_the_call_that_they_are_of():
    asked = replace(REQUEST, task=Task("chat-4711", f"sha256:{'a' * 64}"), request_id="call-1")
    known = a_snapshot()
    verdict = known.decide(asked)
    assert isinstance(verdict, Granted)
    events = (
        granted(asked, verdict, known, access_summary(verdict.tables), NOW),
        denied(asked, "NoPolicy", "m", known, NOW),
        dropped(asked, end(), NOW),
    )

    for event in events:
        told = event.data
        assert (told["taskId"], told["intentDigest"], told["requestId"]) == ("chat-4711", f"sha256:{'a' * 64}", "call-1")
    assert not {"taskId", "intentDigest", "requestId"} & grant().data.keys()


REFUSAL = RefusedCall(Bearer.USER, "TokenExpired", "the token is expired; get a new one", "d" * 64, AGENT.name, "call-1")


def test_a_refused_token_is_told_with_its_code_its_digest_and_the_agent_that_was_proven():
    event = refused(REFUSAL, NOW)

    assert (event.type, event.subject) == ("dev.rolevend.refused", "agents/finbot")
    assert event.data == {
        "bearer": "User",
        "reason": "TokenExpired",
        "message": "the token is expired; get a new one",
        "tokenDigest": "d" * 64,
        "agent": "agents/finbot",
        "requestId": "call-1",
    }


def test_a_token_that_proves_no_agent_is_told_without_one():
    event = refused(RefusedCall(Bearer.AGENT, "MalformedToken", "the token cannot be read"), NOW)

    assert event.subject == "api"
    assert event.data.keys() == {"bearer", "reason", "message"}


def test_nobody_hides_a_refused_call_behind_another_one_of_the_same_request_id():
    assert refused(REFUSAL, NOW).id != refused(REFUSAL, NOW + timedelta(microseconds=1)).id
    assert refused(REFUSAL, NOW).id != refused(replace(REFUSAL, code="BadSignature"), NOW).id


def test_an_end_that_is_asked_for_is_told_with_its_own_call():
    asked = replace(REQUEST, request_id="call-1")

    event = release_requested(asked, RoleName("IMMUTA_VENDED_FINBOT_ANNA_42SKFT181Z8TKB28R3A49B8MN0"), "call-2", NOW)

    told = event.data
    assert (event.type, event.subject) == ("dev.rolevend.releaserequested", told["role"])
    assert (told["requestId"], told["requestUid"], told["agent"]) == ("call-2", REQUEST.uid, "agents/finbot")
    assert release_requested(asked, None, None, NOW).subject == "agents/ask"


def test_a_grant_tells_each_version_that_the_decision_read_and_no_policy_that_does_not_cover_the_user():
    body = grant().data

    assert [(each["kind"], each["name"], each["generation"]) for each in body["objects"]] == [
        ("DataPlatform", "warehouse", 1),
        ("Agent", "agents/finbot", 2),
        ("UserAttributes", "anna", 7),
        ("AccessPolicy", str(MINE.id), 3),
        ("TagBinding", "domain/tags", 1),
    ]
    assert all(each["uid"] for each in body["objects"])
    assert body["catalogDigest"] == "sha256:catalog"


def test_a_grant_tells_how_both_sides_were_combined_and_which_policies_granted_to_the_agent():
    own = policy(
        "own", users=(), agents=(Requirement("trust", frozenset({"high"})),), grants_to=GrantTarget.AGENTS, row_filter=parse("id < 10")
    )
    unmet = policy("unmet", users=(), agents=(Requirement("trust", frozenset({"low"})),), grants_to=GrantTarget.AGENTS)
    terms = registered.terms(replace(registered.TERMS, attributes=Attributes.of([("trust", ["high"])]), widest=Combination.UNION))
    both = {"shapes": {WAREHOUSE: shapes(MINE, own, unmet)}, "platforms": {WAREHOUSE: terms}}
    sources = replace(SOURCES, policies={each.id: version("AccessPolicy", str(each.id)) for each in (MINE, own, unmet)})

    def body(combination: Combination) -> dict[str, Any]:
        agents = {AGENT.name: replace(AGENT, combination=combination)}
        return dict(grant(a_snapshot(**both, agents=agents, sources={WAREHOUSE: sources})).data)

    def policies(told: dict[str, Any]) -> list[str]:
        return [each["name"] for each in told["objects"] if each["kind"] == "AccessPolicy"]

    crossed, ceiling = body(Combination.INTERSECTION), body(Combination.USER_CEILING)
    assert (crossed["combination"], policies(crossed)) == ("Intersection", [str(MINE.id), str(own.id)])
    assert crossed["tables"][0]["restrictions"] == ['"id" < 10']
    assert (ceiling["combination"], policies(ceiling)) == ("UserCeiling", [str(MINE.id)])
    assert crossed["agentAttributes"] == [{"key": "trust", "values": ["high"]}]


def test_another_version_of_any_policy_or_binding_is_another_digest():
    def digest(**changes: Any) -> str:
        return str(grant(a_snapshot(sources={WAREHOUSE: replace(SOURCES, **changes)})).data["policyDigest"])

    edited = {MINE.id: SOURCES.policies[MINE.id], OTHERS.id: version("AccessPolicy", str(OTHERS.id), 2)}
    assert digest() == digest() != digest(policies=edited)
    assert digest() != digest(bindings=())


def test_a_grant_tells_the_attributes_that_were_asked_for_and_no_others():
    known = Attributes.of({"department": ["claims"], "countries": ["DE", "AT"], "salary": ["1"], "office": ["Bonn"]}.items())

    body = grant(a_snapshot(people={ANNA: replace(PERSON, attributes=known)})).data

    assert [each["key"] for each in body["attributes"]] == ["countries", "department", "office"]
    assert body["attributes"][0]["values"] == ["AT", "DE"]


def test_a_grant_tells_each_table_with_its_row_filter_and_its_masks():
    body = grant().data

    assert body["tableCount"] == 2
    assert body["tables"][0] == {
        "table": "claims.payments",
        "rows": ["\"country\" IN (user_attr('countries'))"],
        "restrictions": [],
        "clear": ["id", "country"],
        "masked": [],
        "lookups": [],
    }
    assert "tablesLeftOut" not in body


def test_a_grant_tells_the_guardrails_that_concerned_the_user_and_what_they_restrict():
    contractors, others = (
        guardrail(name, users=(Requirement("department", frozenset({whose})),), row_restriction=parse(f"country = '{name}'"))
        for name, whose in (("a", "claims"), ("b", "hr"))
    )
    index = compile_policies(catalog(*TABLES), [MINE], [contractors, others])
    known = {each: version("Guardrail", each, 4) for each in ("a", "b")}
    changes = {"shapes": {WAREHOUSE: ProfileCache(index, CLUSTER)}, "sources": {WAREHOUSE: replace(SOURCES, guardrails=known)}}

    body = grant(a_snapshot(**changes)).data

    assert {"kind": "Guardrail", "name": "a", "uid": "uid of a", "generation": 4} in body["objects"]
    assert "uid of b" not in str(body["objects"])
    assert body["tables"][0]["restrictions"] == ["\"country\" = 'a'"]
    assert body["policyDigest"] != grant().data["policyDigest"]


def test_cells_of_several_policies_are_told_in_their_order():
    mine, theirs = (Condition((), parse(f"country = '{each}'")) for each in ("DE", "US"))
    cells = (Cell((mine,), Clear()), Cell((theirs,), Partial(4)))
    columns = (ColumnShape("ssn", Family.TEXT, "text", cells), ColumnShape("iban", Family.TEXT, "text", (Cell((), Hash()),)))
    (table,) = access_summary(
        profile(TableShape(next(iter(shapes(MINE).index.tables)).id, "v", (Condition((), None),), columns)).tables
    ).tables

    assert table.rows == ()
    assert [each.shows for each in table.masked] == [
        "Clear where (\"country\" = 'DE') else Partial(4) where (\"country\" = 'US') else Nullify",
        "Hash",
    ]


def profile(*tables: TableShape) -> Profile:
    return Profile(ProfileName("rv_p_1"), tables)


def test_a_thousand_tables_and_long_attributes_are_told_within_bounds_and_what_is_left_out_is_counted():
    verdict = a_snapshot().decide(REQUEST)
    assert isinstance(verdict, Granted)
    many = replace(verdict, profile=Profile(verdict.profile.name, verdict.profile.tables * 1000))
    long = Attributes.of({"department": ["claims"], "countries": [f"{number:0200}" for number in range(200)]}.items())
    known = a_snapshot(people={ANNA: replace(PERSON, attributes=long)})

    event = granted(REQUEST, many, known, access_summary(many.tables), NOW)

    body = event.data
    assert len(json.dumps(body)) < 65_536, "what CloudEvents asks everybody to carry"
    assert len(body["tables"]) + body["tablesLeftOut"] == body["tableCount"] == 2000
    assert body["attributesLeftOut"] == ["countries", "department"]


def test_the_same_step_says_the_same_event_and_another_decision_another_one():
    assert grant().id == grant().id
    elsewhere = Attributes.of({"department": ["claims"], "countries": ["AT"]}.items())
    assert grant().id != grant(a_snapshot(people={ANNA: replace(PERSON, attributes=elsewhere)})).id
    assert grant().id.startswith(f"{REQUEST.uid}/granted/warehouse/")
    one, again = (denied(REQUEST, "NoPolicy", "m", a_snapshot(), NOW + timedelta(seconds=late)) for late in (0, 9))
    assert one.id == again.id != denied(REQUEST, "NoPolicy", "another", a_snapshot(), NOW).id


def test_a_denial_tells_reason_and_message_also_where_nothing_is_known():
    body = denied(REQUEST, "NoPolicy", "no policy covers the user", registered.a_snapshot(people={}, shapes={}), NOW).data

    assert (body["reason"], body["message"]) == ("NoPolicy", "no policy covers the user")
    assert "role" not in body


def test_an_end_tells_what_closed_it_how_long_it_took_and_how_late_it_was():
    event = dropped(REQUEST, end(EndReason.REVOKED), NOW)

    assert event.id == f"{REQUEST.uid}/dropped/warehouse/Revoked"
    assert (
        event.data.items()
        >= {
            "ended": "Revoked",
            "endedBy": "PolicyChanged",
            "endedAt": "2026-11-24T12:00:00.000Z",
            "sessionsEnded": 3,
            "dropSeconds": 0.25,
            "lateSeconds": 2.5,
            "agentHandle": "FINBOT",
            "userHandle": "ANNA",
            "userSubject": "anna",
        }.items()
    )
    assert dropped(REQUEST, end(late=-3), NOW).data["lateSeconds"] == 0, "clocks differ a little"


@pytest.mark.parametrize("role", ["", "IMMUTA_VENDED_not_by_us"])
def test_an_orphan_is_told_by_its_name_alone_whatever_that_is(role: str):
    event = orphan_dropped(UID, WAREHOUSE, end(EndReason.ORPHANED, role=role), NOW)

    assert event.id == f"{UID}/dropped/warehouse/Orphaned"
    assert event.origin.request is None
    assert event.origin.platform == "warehouse"


@pytest.fixture
def trail() -> Trail:
    return Trail()


async def test_a_step_that_is_tried_again_is_recorded_once_and_one_that_failed_again(trail: Trail):
    record, known = AuditRecorder(trail, Free(), lambda: NOW), a_snapshot()
    memory, other = AuditMemory(), AuditMemory()
    verdict = known.decide(REQUEST)
    assert isinstance(verdict, Granted)
    trail.failures = 1
    with pytest.raises(OSError, match="not now"):
        await record.granted(REQUEST, verdict, known, memory)

    for _ in range(3):
        await record.granted(REQUEST, verdict, known, memory)
        await record.denied(replace(REQUEST, uid=UID), "NoPolicy", "m", known, other)

    assert [each.type.rpartition(".")[2] for each in trail.events] == ["granted", "denied"]


async def test_what_a_call_of_the_api_is_refused_or_asks_for_is_recorded_each_time(trail: Trail):
    record = AuditRecorder(trail, Free(), lambda: NOW)

    for _ in range(2):
        await record.refused(REFUSAL)
    await record.release_requested(REQUEST, None, "call-2")

    assert [each.type.rpartition(".")[2] for each in trail.events] == ["refused", "refused", "releaserequested"]


async def test_a_handle_that_is_somebody_elses_is_a_denial(trail: Trail):
    record, known, memory = AuditRecorder(trail, Taken(), lambda: NOW), a_snapshot(), AuditMemory()
    verdict = known.decide(REQUEST)
    assert isinstance(verdict, Granted)

    for _ in range(2):
        with pytest.raises(Conflict, match="bob's"):
            await record.handles(REQUEST, verdict, known, memory)

    (event,) = trail.events
    assert (event.reason, event.message) == ("Conflict", "the handle is bob's")


async def test_an_end_that_could_not_be_written_is_written_as_it_was(trail: Trail):
    record, memory = AuditRecorder(trail, Free(), lambda: NOW), AuditMemory()
    trail.failures = 1
    with pytest.raises(OSError, match="not now"):
        await record.dropped(REQUEST, end(), memory)

    await record.dropped(REQUEST, replace(end(), sessions=0, seconds=0.001), memory)

    (event,) = trail.events
    assert (event.sessions_ended, event.drop_seconds) == (3, 0.25)


def test_the_agent_of_a_request_is_named_in_full():
    assert grant().data["agent"] == str(ObjectName("agents", "finbot"))


async def test_a_denial_that_the_status_says_already_is_not_told_again_after_a_restart(trail: Trail):
    built = painted.paint(replace(painted.OBJECTS, people=[]))
    asserted = ("spec.user", {"issuer": "idp", "subject": "anna"}), ("spec.userTokenSecretRef", MISSING)
    body = painted.raw("VendedRole", "ask", "agents", *asserted, ("spec.expirationSeconds", 900))
    body["spec"] |= {"agentRef": {"name": "finbot"}, "platformRefs": [{"name": "warehouse"}]}
    nothing: Any = None

    async def started_and_asked() -> dict[str, Any]:
        """By a process that remembers nothing."""
        record = AuditRecorder(trail, Free(), lambda: NOW)
        observed: Any = SimpleNamespace(snapshot=built.snapshot)
        roles, objects = RoleStore(), VendedRoleWriter(nothing, lambda: NOW)
        users, quota = UserAuthenticator(nothing, nothing, nothing, lambda: NOW), RoleQuota(roles, objects, NoApprovals())
        vender = Vender(observed, nothing, record, objects, Metrics(), nothing)
        reconciler = VendedRoleReconciler(roles, users, quota, vender, nothing, Door(nothing, nothing, NoApprovals()))
        return (await reconciler.reconcile(body)).status

    body["status"] = await started_and_asked()
    assert [each.type.rpartition(".")[2] for each in trail.events] == ["denied"]

    await started_and_asked()
    assert len(trail.events) == 1

    body["status"]["conditions"][0]["message"] = "another one"
    await started_and_asked()
    assert len(trail.events) == 2
