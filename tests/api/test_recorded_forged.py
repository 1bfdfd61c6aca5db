"""An account with the vendor's login, and a superuser of the database, make no role that the operator takes for one of the API, and keep it
from following no other role. A person who may write VendedRoles changes no recorded role, but may end the one that is shown."""

import contextlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from rolevend.kinds import API_VERSION
from tests.support.calling import Caller, Doors
from tests.support.forging import Row, forge
from tests.support.governed import SCHEMA
from tests.support.proving import Proven
from tests.support.recorded import SHOWN_ROLES, Trail, is_empty, lease, living, reads, recording, shown, vendor
from tests.support.site import AGENTS, WAREHOUSE, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually


def record_of(row: Row, **changed: Any) -> Row:
    body = json.loads(row["record"])
    body["metadata"]["name"] += "x"
    said = {"name": row["record_name"] + "x", "body": json.dumps(body), "call": row["call"], "seal": row["seal"]}
    token = {"token": secrets.token_hex(32)} if "token_until" in changed else {}
    return {**said, **changed, **token}


WITHOUT_METADATA = {"body": "{}"}
FAR = {"token_until": "20000-01-01 00:00Z"}
FORGERIES: dict[str, tuple[Row | None, Row]] = {
    "no record": (None, {}),
    "no record, under the uid of a live role": (None, {"uid": "of the live role"}),
    "seal of another row": ({}, {}),
    "wrong seal": ({"seal": "0" * 64}, {}),
    "a seal that is not ASCII": ({"seal": "\u00e9" * 64}, {}),
    "a body that is no VendedRole": (WITHOUT_METADATA, {}),
    "a token that expires in the year 20000": (FAR, {}),
    "attributes too deep for Python": ({}, {"attrs": '{"countries": ' + "[" * 2000 + "]" * 2000 + "}"}),
    "a number of too many digits": ({}, {"attrs": '{"countries": [1e6000]}'}),
}


def is_followed(caller: Caller) -> None:
    """A genuine role is recorded, reads, and is ended and reported."""
    role = caller.vended()
    assert lease(caller, role)["record"] is not None
    assert reads(caller, role)
    assert caller.call("GET", "/v1/vended-roles").status_code == 200
    assert caller.release(role).status_code == 204
    eventually(lambda: lease(caller, role)["reported_at"])


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("kind", FORGERIES)
def test_a_role_that_the_vendors_login_made_is_dropped_and_disturbs_no_other(recorder: Caller, trail: Trail, kind: str):
    record, changed = FORGERIES[kind]
    genuine = recorder.vended()
    row = lease(recorder, genuine)

    forged = forge(recorder, row, None if record is None else record_of(row, **record), **changed)

    eventually(forged.is_gone)
    assert not forged.reads()
    print(f"{kind}: lived {forged.lived():.2f} s")
    is_followed(recorder)
    assert reads(recorder, genuine)
    recorder.release(genuine)
    eventually(lambda: not living(recorder))
    role = {"roleName": forged.role}
    eventually(lambda: trail.kinds(role)["dropped"])
    assert trail.kinds(role) == {"dropped": 1}
    assert trail.ends(role)[0]["ended"] == "Orphaned"


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize("kind", ["no record", "no record, under the uid of a live role", "wrong seal"])
def test_a_role_without_a_seal_and_without_an_object_is_dropped_at_once_and_those_with_an_object_stay(recorder: Caller, kind: str):
    """With the sweep of production, which takes up to two minutes."""
    site = recorder.proven.site
    genuine = recorder.vended()
    row = lease(recorder, genuine)
    site.operator.stop()
    site.start_operator({"SWEEP_SECONDS": "60", "ORPHAN_GRACE_SECONDS": "60"})
    try:
        asked = recorder.proven.ask(recorder.proven.token()).ready()
        record, changed = FORGERIES[kind]

        forged = forge(recorder, row, None if record is None else record_of(row, **record), **changed)

        eventually(forged.is_gone)
        print(f"{kind}: lived {forged.lived():.2f} s")
        assert forged.lived() < 30, "long before the next sweep"
        is_followed(recorder)
        assert asked.rows("SELECT count(*) FROM people")
        assert reads(recorder, genuine)
        asked.delete()
        asked.gone()
        recorder.release(genuine)
    finally:
        site.operator.stop()
        site.start_operator()


def test_forged_rows_with_the_name_of_a_role_hide_it_not_from_its_agent(recorder: Caller, doors: Doors):
    site = recorder.proven.site
    roles = [recorder.vended() for _ in range(2)]
    rows = [lease(recorder, each) for each in roles]
    site.operator.stop()  # or the forged ones are gone before they are asked for
    forged = [forge(recorder, row, record_of(row, name=row["record_name"])) for row in rows for _ in range(3)]
    assert not any(each.is_gone() for each in forged)

    for role, door in zip(roles, (doors.first, doors.second), strict=True):
        there = Caller(recorder.proven, door)
        assert there.call("GET", f"/v1/vended-roles/{role['id']}").json()["roleName"] == role["roleName"]
        assert there.release(role).status_code == 204
        assert not reads(recorder, role)
        assert there.release(role).status_code == 404

    site.start_operator()
    eventually(lambda: not living(recorder))
    is_followed(recorder)


@pytest.mark.long
def test_forged_rows_of_the_time_before_it_started_keep_the_operator_from_nothing(recorder: Caller):
    site = recorder.proven.site
    genuine = recorder.vended()
    row = lease(recorder, genuine)
    site.operator.stop()
    forged = [
        forge(recorder, row, None if record is None else record_of(row, **record), **changed) for record, changed in FORGERIES.values()
    ]

    site.start_operator()

    eventually(lambda: all(each.is_gone() for each in forged))
    assert reads(recorder, genuine)
    is_followed(recorder)
    recorder.release(genuine)
    eventually(lambda: not living(recorder))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rolevend.lease SET attrs = '{}'",
        "INSERT INTO rolevend.lease (role, cluster_id, uid) VALUES ('x', 'x', 'x')",
        "DELETE FROM rolevend.lease",
        "INSERT INTO rolevend.used_token VALUES (repeat('a', 64), 'x', 'x', now())",
        "DELETE FROM rolevend.used_token",
        "DELETE FROM rolevend.counted",
        "SELECT rolevend.give_back('{}', '{}')",
        "SELECT rolevend.keep_ended('x', '{}')",
        "SELECT rolevend.mark_closed('x', 'x', 'x', 'x')",
    ],
)
def test_the_vendors_login_writes_no_table(site: Site, statement: str):
    with vendor(site) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(
    "change",
    [
        """attrs = '{"countries": ["US", "FR"]}'""",
        "expires_at = expires_at + interval '1 h'",
        "subject = 'boris'",
        """record = jsonb_set(record::jsonb, '{spec,purpose}', '"reporting"')::text""",
        "seal = 'é'",
    ],
)
def test_a_recorded_role_whose_row_a_superuser_changed_ends_and_is_told_once(recorder: Caller, trail: Trail, change: str):
    role = recorder.vended()
    eventually(lambda: role["id"] in shown(recorder))  # so the operator knows it

    recorder.proven.site.warehouse.ask(
        f"UPDATE rolevend.lease SET {change}, changed = pg_current_xact_id() WHERE role = %s", role["roleName"]
    )

    eventually(lambda: role["roleName"] not in living(recorder))
    assert not reads(recorder, role)
    eventually(lambda: lease(recorder, role)["reported_at"])
    is_followed(recorder)
    assert trail.kinds(role) == {"granted": 1, "dropped": 1}
    assert trail.ends(role)[0]["endedBy"] == "Record"


@pytest.mark.long
def test_a_row_that_a_superuser_changed_without_a_trace_is_found_within_a_minute(recorder: Caller):
    role = recorder.vended()
    eventually(lambda: role["id"] in shown(recorder))  # so the operator knows it

    recorder.proven.site.warehouse.ask("""UPDATE rolevend.lease SET attrs = '{"countries": ["US"]}' WHERE role = %s""", role["roleName"])

    eventually(lambda: role["roleName"] not in living(recorder), within=75)


# Objects


def labelled(caller: Caller, uid: str, name: str, **spec: Any) -> Body:
    proven = caller.proven
    return {
        "apiVersion": API_VERSION,
        "kind": "VendedRole",
        "metadata": {"name": name, "namespace": AGENTS, **({"labels": {"rolevend.dev/record": uid}} if uid else {})},
        "spec": {
            "agentRef": {"name": proven.tenant.name},
            "user": proven.user(),
            "platformRefs": [{"name": WAREHOUSE}],
            "expirationSeconds": 600,
            "userTokenSecretRef": proven.secret(proven.token()),
            **spec,
        },
    }


@contextlib.contextmanager
def without_admission(site: Site) -> Iterator[None]:
    """As in a cluster whose administrator took the policy away."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    items = site.cluster.call("GET", path).body["items"]
    (binding,) = [each for each in items if each["spec"]["policyName"] == "rolevend-origin"]
    assert site.cluster.call("DELETE", f"{path}/{binding['metadata']['name']}").ok
    try:
        yield
    finally:
        made: Body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "spec": binding["spec"]}
        made["metadata"] = {key: binding["metadata"][key] for key in ("name", "labels", "annotations") if key in binding["metadata"]}
        assert site.cluster.call("POST", path, made).ok


def test_only_the_operator_labels_an_object_and_without_the_policy_such_an_object_has_no_role_and_ends_none(recorder: Caller):
    site = recorder.proven.site
    role = recorder.vended()
    uid = lease(recorder, role)["uid"]
    fake = labelled(recorder, uid, f"fake-{recorder.proven.tenant.name}")
    refused = site.cluster.create(fake, dry_run=True)
    assert (refused.status, "is written by rolevend" in refused.message) == (403, True), refused.message
    eventually(lambda: role["id"] in shown(recorder))
    unlabelled = site.cluster.patch(shown(recorder)[role["id"]], {"metadata": {"labels": {"rolevend.dev/record": None}}})
    assert unlabelled.status == 403

    with without_admission(site):
        made = dict(eventually(lambda: answer.body if (answer := site.cluster.create(fake)).ok else None) or {})

    is_followed(recorder)  # time enough to vend it
    assert living(recorder) == {role["roleName"]}
    assert not site.cluster.read(made).body.get("status", {}).get("roleName")
    eventually(lambda: site.operator.probe("/healthz") == (200, "ok"))
    site.remove(made)
    eventually(lambda: site.cluster.read(made).status == 404)
    is_followed(recorder)
    assert reads(recorder, role)
    recorder.release(role)
    eventually(lambda: is_empty(recorder))


@pytest.mark.long
def test_an_object_with_the_name_of_a_recorded_role_is_another_one_and_its_end_ends_no_other(recorder: Caller, trail: Trail):
    site = recorder.proven.site
    site.operator.stop()  # or the object that shows the role would have the name
    role = recorder.vended()
    made = site.apply(labelled(recorder, "", role["id"], agentRef={"name": "nobody"}))
    site.start_operator()
    site.told(made, "Granted", "Unknown", "AgentUnknown")

    site.remove(made)

    eventually(lambda: site.cluster.read(made).body.get("metadata", {}).get("uid") != made["metadata"]["uid"])
    is_followed(recorder)
    assert reads(recorder, role)
    assert trail.kinds(role) == {"granted": 1}
    assert recorder.release(role).status_code == 204
    eventually(lambda: is_empty(recorder))
    eventually(lambda: trail.kinds(role)["dropped"])
    assert trail.kinds(role) == {"granted": 1, "dropped": 1}


@pytest.mark.long
def test_edits_of_an_object_that_shows_a_role_change_nothing_and_the_operator_stays_well(recorder: Caller):
    site = recorder.proven.site
    role = recorder.vended()
    eventually(lambda: role["id"] in shown(recorder))
    body = shown(recorder)[role["id"]]
    ended = {"status": {"ended": {"reason": "Released", "by": "Somebody", "message": "not so"}}}

    site.cluster.patch(body, {"metadata": {"labels": {"mine": "yes"}, "annotations": {"rolevend.dev/reconsidered": "now", "a": "b"}}})
    site.cluster.patch(body, ended, subresource="status")
    site.cluster.patch(body, {"status": {"roleName": "IMMUTA_VENDED_X", "conditions": []}}, subresource="status")

    is_followed(recorder)
    assert reads(recorder, role)
    assert living(recorder) == {role["roleName"]}
    assert recorder.call("GET", f"/v1/vended-roles/{role['id']}").json()["roleName"] == role["roleName"]
    lateness = site.metric("rolevend_sweep_seconds_count")
    assert lateness >= 0
    old_enough = "SELECT now() - issued_at > interval '9 s' FROM rolevend.lease WHERE role = %s"
    eventually(lambda: site.warehouse.ask(old_enough, role["roleName"]) == [(True,)])  # a watch counts as stale after three seconds
    eventually(lambda: site.operator.probe("/healthz") == (200, "ok"))
    recorder.release(role)
    eventually(lambda: role["id"] not in shown(recorder))


@pytest.mark.long
def test_a_restart_ends_no_role_that_is_shown_and_a_deletion_meanwhile_ends_its_role(recorder: Caller, trail: Trail):
    site = recorder.proven.site
    staying, leaving = recorder.vended(), recorder.vended()
    eventually(lambda: shown(recorder).keys() >= {staying["id"], leaving["id"]})
    first = shown(recorder)[staying["id"]]["metadata"]["uid"]

    for _ in range(2):
        site.operator.kill()
        site.start_operator()
        is_followed(recorder)
        assert shown(recorder)[staying["id"]]["metadata"]["uid"] == first
    site.operator.stop()
    assert site.cluster.call("DELETE", f"{SHOWN_ROLES}/{leaving['id']}").ok
    assert reads(recorder, leaving)
    site.start_operator()

    eventually(lambda: living(recorder) == {staying["roleName"]})
    eventually(lambda: shown(recorder).keys() == {staying["id"]})
    assert reads(recorder, staying)
    eventually(lambda: lease(recorder, leaving)["reported_at"])
    assert trail.kinds(leaving) == {"granted": 1, "dropped": 1}
    assert trail.ends(leaving)[0]["ended"] == "Released"
    recorder.release(staying)
    eventually(lambda: is_empty(recorder))


def test_an_agent_neither_reads_nor_lists_nor_releases_a_role_of_another(recorder: Caller, doors: Doors):
    other = Proven(Tenant(recorder.proven.site))
    try:
        other.ready_to_ask()
        another, _ = (recording(Caller(other, each)) for each in (doors.first, doors.second))
        role = recorder.vended()
        for each in (doors.first, doors.second):
            foreign = Caller(other, each)
            assert foreign.call("GET", f"/v1/vended-roles/{role['id']}").status_code == 404
            assert foreign.call("DELETE", f"/v1/vended-roles/{role['id']}").status_code == 404
            assert role["id"] not in [one["id"] for one in foreign.call("GET", "/v1/vended-roles").json()["items"]]
        assert reads(recorder, role)
        assert another.proven is other
        recorder.release(role)
    finally:
        other.tenant.leave()


def test_a_table_that_is_opened_by_hand_ends_recorded_roles_at_once(recorder: Caller, trail: Trail):
    role = recorder.vended()
    warehouse = recorder.proven.site.warehouse
    warehouse.ask(f"ALTER TABLE {SCHEMA}.people DISABLE ROW LEVEL SECURITY")
    try:
        assert not reads(recorder, role)
        eventually(lambda: role["roleName"] not in living(recorder))
    finally:
        warehouse.ask(f"ALTER TABLE {SCHEMA}.people ENABLE ROW LEVEL SECURITY")
    eventually(lambda: lease(recorder, role)["reported_at"])
    assert trail.kinds(role) == {"granted": 1, "dropped": 1}
    assert trail.ends(role)[0]["ended"] == "Revoked"
