"""The record of a vend against reality: for every role there is an event, written before the role, and one more when it is gone."""

import json
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from rolevend.audit.event_files import verify
from tests.support.audited import AuditTrail
from tests.support.commanding import rolevend
from tests.support.site import AGENTS, ANNEX, DOMAIN, WAREHOUSE
from tests.support.tenancy import ISSUER, Asked, Tenant
from tests.support.tiers import by_tier
from tests.support.waiting import eventually
from tests.support.who import who


@pytest.mark.long
def test_of_a_role_on_two_platforms_each_has_its_own_beginning_and_its_own_end(trail: AuditTrail, tenant: Tenant):
    both = [{"name": name} for name in (WAREHOUSE, ANNEX)]
    tenant.agent()
    tenant.person()
    tenant.site.told(tenant.policy(platformRefs=both), "Ready", "True")
    asked = tenant.ask(wanted={"platformRefs": both}).ready()
    trail.killed_and_started()  # what names a beginning is in the object

    asked.delete()
    asked.gone()

    told = {(event["type"].rpartition(".")[2], event["data"]["platform"]) for event in trail.of(asked)}
    assert told == {(kind, name) for kind in ("granted", "dropped") for name in (WAREHOUSE, ANNEX)}
    assert {event["data"]["role"] for event in trail.of(asked)} == {asked.role}
    mine = [each for each in trail.receipts().receipts if each.end is not None and each.end.said["requestUid"] == asked.uid]
    assert len(mine) == 2
    for each in mine:
        assert each.beginning is not None
        assert each.end is not None
        assert each.beginning.said["platform"] == each.end.said["platform"]
        assert each.end.said["first"] == each.beginning.digest
    assert trail.is_whole()


def test_a_vend_and_its_end_are_told_with_all_that_was_read_and_given(shared_trail: AuditTrail, tenant: Tenant):
    site = tenant.site
    person, agent = tenant.person(handle=f"P{tenant.handle}"), tenant.agent()
    policy = tenant.policy()
    site.told(policy, "Ready", "True")
    asked = tenant.ask().ready()
    (granted,) = shared_trail.of(asked)

    told = granted["data"]
    assert (granted["type"], granted["subject"]) == ("dev.rolevend.granted", asked.role)
    assert granted["source"].endswith(site.cluster.call("GET", "/api/v1/namespaces/kube-system").body["metadata"]["uid"])
    assert (
        told.items()
        >= {
            "role": asked.role,
            "request": f"{AGENTS}/{asked.name}",
            "platform": WAREHOUSE,
            "agent": f"{AGENTS}/{tenant.name}",
            "userSubject": f"anna.{tenant.name}",
            "userIssuer": ISSUER,
            "userHandle": f"P{tenant.handle}",
            "userProof": "Asserted",
            "profile": asked.status["platforms"][0]["profile"],
            "tableCount": 1,
        }.items()
    )
    assert told["tables"] == [
        {
            "table": "claims.people",
            "rows": ["\"country\" IN (user_attr('countries'))"],
            "clear": ["person_id", "full_name", "birth_date", "country"],
            "masked": [{"name": "ssn", "shows": "Nullify"}],
            "lookups": [],
            "restrictions": [],
        }
    ]
    assert {"key": "countries", "values": ["AT", "DE"]} in told["attributes"]
    read = {(each["kind"], each["uid"], each["generation"]) for each in told["objects"]}
    platform = site.cluster.read({"kind": "DataPlatform", "metadata": {"name": WAREHOUSE}}).body
    for body in (person, agent, policy, platform):
        assert (body["kind"], body["metadata"]["uid"], body["metadata"]["generation"]) in read

    with site.warehouse.session(asked.login()) as session:
        session.execute("SELECT 1")
        asked.delete()
        asked.gone()
    _, dropped = shared_trail.of(asked)
    assert (
        dropped["data"].items() >= {"role": asked.role, "ended": "Released", "sessionsEnded": 1, "agent": f"{AGENTS}/{tenant.name}"}.items()
    )
    assert 0 < dropped["data"]["dropSeconds"] < 300
    assert dropped["data"]["lateSeconds"] >= 0
    assert shared_trail.is_whole()


def test_the_receipt_of_a_role_says_what_it_was_given_and_how_it_ended_and_the_command_tells_one_that_was_altered(
    shared_trail: AuditTrail, tenant: Tenant, tmp_path: Path
):
    task = {"id": "chat-4711", "intentDigest": f"sha256:{'0a' * 32}"}
    asked = tenant.ready_to_ask().ask(wanted={"task": task}).ready()
    with shared_trail.site.warehouse.session(asked.login()) as session:
        assert session.execute("SHOW application_name").fetchall() == [("",)], "other roles could read it there"
    noted = shared_trail.site.warehouse.ask("SELECT limits ->> 'application_name' FROM rolevend.lease WHERE role = %s", asked.role)
    assert noted == [("task:chat-4711:0a0a0a0a0a0a0a0a",)]
    asked.delete()
    asked.gone()
    keys = tmp_path / "receipt.jwks"
    keys.write_text(receipt("keys", "--key", str(shared_trail.key)).stdout)

    answer = receipt("verify", str(shared_trail.file), "--keys", str(keys), "-o", "json")

    assert answer.returncode == 0, answer.stdout + answer.stderr
    (whole,) = [each for each in json.loads(answer.stdout)["receipts"] if each["end"]["said"]["requestUid"] == asked.uid]
    granted, dropped = shared_trail.of(asked)
    assert whole["beginning"]["said"].items() >= {"role": asked.role, "taskId": "chat-4711", "tables": ["claims.people"]}.items()
    assert whole["beginning"]["said"]["policyDigest"] == granted["data"]["policyDigest"]
    assert whole["end"]["said"].items() >= {"ended": "Released", "endedAt": dropped["data"]["endedAt"], "taskId": "chat-4711"}.items()
    assert whole["end"]["said"]["first"] == whole["beginning"]["digest"]
    assert shared_trail.is_whole()

    forged = tmp_path / "forged.ndjson"
    forged.write_bytes(shared_trail.file.read_bytes().replace(b'"ended":"Released"', b'"ended":"Revoked"'))
    answer = receipt("verify", str(forged), "--keys", str(keys))
    assert answer.returncode == 1
    assert "the event is not what was signed: dataDigest, ended differ" in answer.stdout


def receipt(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return rolevend({}, "receipt", *arguments)


@pytest.mark.long
def test_who_asked_is_told_where_the_cluster_writes_it_down(trail: AuditTrail, tenant: Tenant):
    asked = tenant.ready_to_ask().ask().ready()

    (granted,) = trail.of(asked)
    assert granted["data"]["requestedBy"] == (asked.now() or {})["metadata"]["annotations"]["rolevend.dev/requested-by"]


def test_each_way_to_end_is_told_with_who_ended_it(shared_trail: AuditTrail, tenant: Tenant):
    site = tenant.site
    tenant.agent()
    tenant.person()
    policy = tenant.policy()
    expired, _ = tenant.ask_briefly(Asked.ready)
    released = tenant.ask().ready()
    released.delete()
    released.gone()
    expired.expired()
    revoked = tenant.ask().ready()
    site.patch(policy, {"rowFilter": "country = 'FR'"})
    revoked.gone()

    ends = {asked: shared_trail.of(asked)[-1]["data"] for asked in (expired, released, revoked)}
    assert [(each["ended"], each.get("endedBy")) for each in ends.values()] == [
        ("Expired", None),
        ("Released", None),
        ("Revoked", "PolicyChanged"),
    ]
    assert "no longer granted unchanged" in ends[revoked]["message"]
    assert ends[expired]["lateSeconds"] < 300


@pytest.mark.long
def test_an_orphan_that_the_sweep_drops_is_told(trail: AuditTrail, tenant: Tenant):
    site = tenant.ready_to_ask().site
    site.cluster.bind("firefighter", "rolevend-breakglass", AGENTS)
    asked = tenant.ask().ready()
    site.operator.kill()
    asked.delete()
    assert site.cluster.patch(asked.body, {"metadata": {"finalizers": []}}, user="firefighter").ok

    trail.start()

    eventually(lambda: trail.kinds(asked) == ["granted", "dropped"])
    assert trail.of(asked)[-1]["data"].items() >= {"ended": "Orphaned", "endedBy": "Sweep", "platform": WAREHOUSE}.items()


@pytest.mark.long
def test_an_orphan_that_could_not_be_dropped_at_first_is_told_when_it_is_gone(trail: AuditTrail, tenant: Tenant):
    site = tenant.ready_to_ask().site
    site.cluster.bind("firefighter", "rolevend-breakglass", AGENTS)
    asked = tenant.ask().ready()
    site.warehouse.ask("CREATE DATABASE elsewhere")
    elsewhere = site.warehouse.superuser.to_database("elsewhere")
    with psycopg.connect(elsewhere.dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE held (id integer)")
        connection.execute(f'ALTER TABLE held OWNER TO "{asked.role}"')
        site.operator.kill()
        asked.delete()
        assert site.cluster.patch(asked.body, {"metadata": {"finalizers": []}}, user="firefighter").ok
        trail.start()
        eventually(lambda: any("cannot drop an orphan" in line["message"] for line in site.log_lines() if "message" in line))
        connection.execute("DROP TABLE held")

    eventually(lambda: trail.kinds(asked) == ["granted", "dropped"])
    assert trail.of(asked)[-1]["data"]["ended"] == "Orphaned"
    site.warehouse.ask("DROP DATABASE elsewhere WITH (FORCE)")


@pytest.mark.long
def test_an_orphan_is_told_by_the_next_process_where_the_one_that_dropped_it_died_before_it_could(trail: AuditTrail, tenant: Tenant):
    site = tenant.ready_to_ask().site
    site.cluster.bind("firefighter", "rolevend-breakglass", AGENTS)
    asked = tenant.ask().ready()
    site.operator.kill()
    asked.delete()
    assert site.cluster.patch(asked.body, {"metadata": {"finalizers": []}}, user="firefighter").ok
    trail.file.rename(trail.file.with_suffix(".1"))
    trail.file.mkdir()
    trail.start()
    eventually(lambda: not asked.has_role())
    before = site.metric("rolevend_audit_failures_total")
    eventually(lambda: site.metric("rolevend_audit_failures_total") > before)

    site.operator.kill()
    trail.file.rmdir()
    trail.start()

    eventually(lambda: trail.kinds(asked) == ["dropped"])
    told = trail.of(asked)[-1]["data"]
    assert told.items() >= {"ended": "Orphaned", "role": asked.role, "platform": WAREHOUSE}.items()
    assert "sessionsEnded" not in told, "who knew is dead"


@pytest.mark.long
def test_a_denial_is_told_once_and_again_when_it_is_another_one(trail: AuditTrail, tenant: Tenant):
    tenant.site.told(tenant.agent(), "Ready", "True")
    tenant.site.told(tenant.policy(), "Ready", "True")  # or it would be denied first for want of any policy
    asked = tenant.ask()
    asked.refused("NoPolicy", granted="False")
    (denied,) = trail.of(asked)
    assert (
        denied["data"].items() >= {"reason": "NoPolicy", "userSubject": f"anna.{tenant.name}", "request": f"{AGENTS}/{asked.name}"}.items()
    )

    tenant.person(countries=[])
    asked.refused("AttributeMissing", granted="False")
    trail.killed_and_started()
    later = tenant.ask()
    later.refused("AttributeMissing", granted="False")

    assert [event["data"]["reason"] for event in trail.of(asked)] == ["NoPolicy", "AttributeMissing"]
    assert f"policy {DOMAIN}/{tenant.name}" in trail.of(asked)[-1]["data"]["message"]


@pytest.mark.long
def test_what_was_not_decided_is_not_told(trail: AuditTrail, tenant: Tenant):
    asked = tenant.ask()
    asked.refused("AgentUnknown", granted="Unknown")

    asked.delete()
    asked.gone()

    assert trail.of(asked) == []


@pytest.mark.long
def test_killed_again_and_again_it_leaves_no_role_without_its_event_and_no_end_without_one(trail: AuditTrail, tenant: Tenant):
    """At every moment a role on the platform has its event; an event that is there twice has one id."""
    site = tenant.ready_to_ask().site
    asked: list[Asked] = []
    vended = "SELECT count(*) FROM rolevend.lease WHERE uid = ANY (%s)"
    for _ in range(by_tier(2, 4)):
        asked += [tenant.ask() for _ in range(6)]
        for each in asked[-9:-6]:
            each.ready().delete()
        uids = [each.uid for each in asked]
        wanted = len(asked) - 3
        eventually(lambda uids=uids, wanted=wanted: site.warehouse.ask(vended, uids)[0][0] >= wanted)  # type: ignore[misc]
        site.operator.kill()
        told = {event["data"]["requestUid"] for event in trail.all() if event["type"] == "dev.rolevend.granted"}
        roles = {uid for (uid,) in site.warehouse.ask("SELECT uid FROM rolevend.lease WHERE uid = ANY (%s)", uids)}
        assert roles <= told
        trail.start()

    # One that is taken back before it is a role has neither event.
    eventually(lambda: site.warehouse.ask(vended, [each.uid for each in asked]) == [(len(asked),)])
    for each in asked:
        each.delete()
    for each in asked:
        each.gone()

    assert {each.name: trail.kinds(each) for each in asked} == {each.name: ["granted", "dropped"] for each in asked}
    assert trail.is_whole()
    receipts = {each.end.said["requestUid"]: each for each in trail.receipts().receipts if each.end is not None}
    assert all(receipts[each.uid].beginning is not None for each in asked), "every end names a beginning that is there"


@pytest.mark.full
def test_a_replica_that_takes_over_goes_on_in_the_same_file(trail: AuditTrail, tenant: Tenant):
    site = tenant.ready_to_ask().site
    site.operator.stop()
    leadership = {"LEADERSHIP_SECONDS": "30"}  # over within the test, and longer than a busy machine stalls
    trail.start(**leadership)
    first = tenant.ask().ready()
    replica, _ = site.start_replica("second", {**trail.settings, **leadership})
    try:
        replica.wait_until_ready()
        assert trail.is_whole(), "who stands by writes nothing"
        site.operator.kill()
        second = tenant.ask().ready()
        first.delete()
        first.gone()
    finally:
        replica.stop()

    assert trail.kinds(first) == ["granted", "dropped"]
    assert trail.kinds(second) == ["granted"]
    assert trail.is_whole()
    (begun, ended), (later,) = trail.of(first), trail.of(second)
    assert begun["chain"] != ended["chain"] == later["chain"], "who takes over begins a chain of its own"


def test_while_nothing_can_be_written_nothing_is_vended_and_roles_go_all_the_same(trail: AuditTrail, tenant: Tenant):
    site = tenant.ready_to_ask().site
    standing = tenant.ask().ready()
    login = standing.login()
    trail.file.rename(trail.file.with_suffix(".1"))
    trail.file.mkdir()

    waiting = tenant.ask()
    message = waiting.refused("AuditUnavailable")
    standing.delete()
    eventually(lambda: not standing.has_role())

    assert f"writing an audit event to {trail.file}: Is a directory; nothing is vended until that works" in message
    assert site.warehouse.refuses(login)
    assert site.warehouse.ask("SELECT 1 FROM rolevend.lease WHERE uid = %s", waiting.uid) == []
    assert site.metric("rolevend_audit_failures_total") > 0

    trail.file.rmdir()
    waiting.ready()
    standing.gone()
    assert trail.kinds(standing) == ["dropped"]
    assert verify([str(trail.file.with_suffix(".1")), str(trail.file)]).problems == []


@pytest.mark.long
def test_a_handle_is_never_vended_for_somebody_else_also_when_its_agent_or_its_person_is_gone(trail: AuditTrail, tenant: Tenant):
    site, handle = tenant.site, f"H{tenant.handle}"
    person, agent = tenant.person("anna", handle=handle), tenant.agent()
    tenant.policy()
    tenant.ask("anna").ready()
    for body in (person, agent):
        site.remove(body)
    trail.killed_and_started()

    other = tenant.make("UserAttributes", tenant.person_spec("bob", handle), f"bob.{tenant.name}")
    tenant.agent()
    site.told(other, "Ready", "True")
    asked = tenant.ask("bob")
    message = asked.refused("Conflict")
    assert f"spec.user: the handle {handle} of this user is that of anna.{tenant.name} ({ISSUER}) for ever" in message
    assert [(event["type"], event["data"]["reason"]) for event in trail.of(asked)] == [("dev.rolevend.denied", "Conflict")]
    assert site.warehouse.ask("SELECT 1 FROM rolevend.lease WHERE uid = %s", asked.uid) == []
    shown = site.told(other, "Ready", "False", "Conflict")
    assert f"spec.handle: the handle {handle} of this user is that of anna.{tenant.name}" in shown

    site.patch(other, {"handle": f"B{tenant.handle}"})
    asked.ready()
    site.told(other, "Ready", "True")


@pytest.mark.long
def test_an_agent_with_the_handle_of_one_that_is_gone_says_so_until_it_has_another(tenant: Tenant):
    site = tenant.site
    tenant.person()
    first = tenant.agent()
    tenant.policy()
    tenant.ask().ready()
    site.remove(first)
    second = tenant.agent(f"{tenant.name}-second")
    site.told(second, "Ready", "True")

    tenant.ask(agent=f"{tenant.name}-second").refused("Conflict")

    assert f"is that of Agent {AGENTS}/{tenant.name} for ever" in site.told(second, "Ready", "False", "Conflict")
    site.told(second, "Accepted", "True")
    site.remove(second)
    third = tenant.agent(f"{tenant.name}-second", handle=f"S{tenant.handle}")
    site.told(third, "Ready", "True")


def test_a_record_of_a_handle_cannot_be_changed_by_the_operator(tenant: Tenant):
    tenant.ready_to_ask().ask().ready()
    name = f"rolevend-agent-{tenant.name}"
    path = f"/api/v1/namespaces/rolevend-system/configmaps/{name}"
    operator: dict[str, Any] = {"user": "system:serviceaccount:rolevend-system:rolevend"}

    assert tenant.site.cluster.call("GET", path, **operator).body["data"] == {
        "handle": tenant.handle,
        "namespace": AGENTS,
        "name": tenant.name,
    }
    assert tenant.site.cluster.call("DELETE", path, **operator).status == 403
    changed = {**tenant.site.cluster.call("GET", path).body, "data": {"handle": tenant.handle, "namespace": AGENTS, "name": "other"}}
    refused = tenant.site.cluster.call("PUT", path, changed)
    assert refused.status == 422, "not even the administrator"


@pytest.mark.long
@pytest.mark.parametrize("configured", [True, False], ids=["a-handle", "an-opaque-handle"])
def test_who_names_agent_and_person_when_everything_but_the_name_is_gone(trail: AuditTrail, tenant: Tenant, configured: bool):
    """As a year later: no VendedRole, no Agent, no UserAttributes, no audit file, no lease."""
    site = tenant.site
    person = tenant.person(handle=f"W{tenant.handle}" if configured else None)
    agent = tenant.agent()
    tenant.policy()
    asked = tenant.ask().ready()
    asked.delete()
    asked.gone()
    for body in (person, agent):
        site.remove(body)
    trail.file.unlink()
    site.warehouse.ask("DELETE FROM rolevend.lease WHERE role = %s", asked.role)

    answer = who(site, asked.role)

    assert answer["agent"] == f"{AGENTS}/{tenant.name}"
    assert answer["user"] == f"anna.{tenant.name} ({ISSUER})"
    assert answer["sources"]["agent"] == answer["sources"]["user"] == "the record of its handle"
    assert answer["state"].startswith("gone")
    assert answer["notes"] == ""


@pytest.mark.long
def test_who_asks_every_place_that_still_knows_and_says_which(trail: AuditTrail, tenant: Tenant):
    site = tenant.site
    tenant.person(handle=f"Q{tenant.handle}")
    tenant.agent()
    policy = tenant.policy()
    asked = tenant.ask().ready()
    site.patch(policy, {"rowFilter": "country = 'FR'"})
    asked.gone()
    places = ("--audit", str(trail.file)), ("--dsn", site.warehouse.superuser.dsn)

    for place in places:
        answer = who(site, asked.role, "--offline", *place)
        assert (answer["agent"], answer["user"]) == (f"{AGENTS}/{tenant.name}", f"anna.{tenant.name} ({ISSUER})")
        assert answer["ended"].startswith("Revoked")
        assert (answer.get("proof"), "token" in answer) == ("Asserted" if place[0] == "--audit" else None, False)

    answer = who(site, asked.role, *places[0], *places[1])
    assert answer["notes"] == ""
    assert f"{DOMAIN}/{tenant.name} (1)" in answer["policies"]
    assert answer["ended"].startswith("Revoked by PolicyChanged, gone at ")
    assert answer["sources"]["policies"] == "the audit file"
    assert answer["tables"] == "claims.people"


@pytest.mark.long
def test_who_says_where_two_places_do_not_agree_and_what_it_could_not_ask(trail: AuditTrail, tenant: Tenant, tmp_path: Path):
    site = tenant.ready_to_ask().site
    asked = tenant.ask().ready()
    forged = tmp_path / "forged"
    events = trail.file.read_bytes().replace(f"anna.{tenant.name}".encode(), b"mallory")
    forged.write_bytes(events.replace(b'"Asserted"', b'"Token"'))

    answer = who(site, asked.role, "--audit", str(forged), "--dsn", "host=127.0.0.1 port=1 user=x")

    assert answer["user"] == f"anna.{tenant.name} ({ISSUER})"
    assert (
        f"the record of its handle says that the user is anna.{tenant.name} ({ISSUER}), and the audit file says mallory" in answer["notes"]
    )
    assert answer["proof"] == "Asserted"
    assert "the cluster says that the proof is Asserted, and the audit file says Token" in answer["notes"]
    assert "asking the database for the lease: " in answer["notes"]


def test_an_investigator_learns_whom_a_handle_stands_for_and_nobody_else_does(tenant: Tenant):
    tenant.ready_to_ask().ask().ready()
    site = tenant.site
    path = f"/api/v1/namespaces/rolevend-system/configmaps/rolevend-agent-{tenant.name}"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "investigator", "namespace": "rolevend-system"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "rolevend-investigator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "investigator"}],
    }
    assert site.cluster.call("GET", path, user="investigator").status == 403
    assert site.cluster.call("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/rolevend-system/rolebindings", binding).ok

    eventually(lambda: site.cluster.call("GET", path, user="investigator").ok)
    assert site.cluster.call("GET", path, user="somebody").status == 403
