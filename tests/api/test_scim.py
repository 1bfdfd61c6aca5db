"""An identity provider pushes users and groups by SCIM: they are vended roles by their attributes, and lose them with these."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import psycopg
import pytest

from rolevend.snapshot.suspension import SUSPENSION
from testbed.installation import NAMESPACE, ApiProcess
from tests.support.calling import Doors
from tests.support.installed import API
from tests.support.provisioning import ENTERPRISE, GROUP, PATCH, USER, Pusher
from tests.support.proxies import ApiProxy
from tests.support.site import SCIM_SECRET, Body, Site
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

LABEL = "app.kubernetes.io/managed-by"
QUERY = "SELECT count(*) > 0 FROM people"


@pytest.fixture(scope="module")
def api(site: Site, doors: Doors) -> ApiProcess:
    api = doors.open({"API_SCIM": "true"})
    api.wait_until_ready()
    return api


@pytest.fixture
def pusher(tenant: Tenant, api: ApiProcess) -> Pusher:
    return Pusher(tenant, api).ready()


def replace(path: str | None, value: Any) -> Body:
    return {"op": "replace", "value": value, **({} if path is None else {"path": path})}


def gone(pusher: Pusher, role: Body) -> None:
    eventually(lambda: not pusher.site.warehouse.has(role["roleName"]))


def refused(pusher: Pusher, subject: str = "anna") -> Body:
    def answered() -> Body:
        answer = pusher.caller.vend(subject)
        assert answer.status_code == 403, answer.text
        assert answer.json()["code"] != "PolicyChanged", "the change overtook this vend"
        return dict(answer.json())

    return dict(eventually(answered))


def test_a_user_is_pushed_vended_a_role_and_deactivated(pusher: Pusher):
    anna = pusher.pushed()
    role = pusher.caller.vended()
    with pusher.caller.session(role) as session:
        assert session.execute(QUERY).fetchall() == [(True,)]

        pusher.ok(pusher.patch(anna, replace(None, {"active": False})))

        with pytest.raises(psycopg.Error):
            session.execute("SELECT pg_sleep(60)")
    gone(pusher, role)
    assert refused(pusher)["code"] == "Suspended"

    pusher.ok(pusher.patch(anna, replace(None, {"active": True})))

    pusher.caller.vended()


def test_a_user_who_leaves_a_group_loses_what_rests_on_it(pusher: Pusher):
    site = pusher.site
    site.remove(pusher.tenant.described("AccessPolicy", {}, namespace="domain-claims"))
    rule = {"matchAttributes": [{"key": "groups", "operator": "In", "values": ["Analysts"]}]}
    site.told(pusher.tenant.policy(f"{pusher.tenant.name}-group", rows="All", rowFilter=None, users=rule), "Ready", "True")
    anna, bob = pusher.pushed(), pusher.pushed("bob")
    group = pusher.group("Analysts", anna, bob)
    role, of_bob = pusher.caller.vended(), pusher.caller.vended("bob")

    pusher.ok(pusher.patch(group, {"op": "remove", "path": f'members[value eq "{anna["id"]}"]'}))

    gone(pusher, role)
    assert refused(pusher)["code"] != "Suspended"
    assert site.warehouse.has(of_bob["roleName"])
    assert [each["value"] for each in pusher.ok(pusher.call("GET", f"/Groups/{group['id']}"))["members"]] == [bob["id"]]

    assert pusher.call("DELETE", f"/Groups/{group['id']}").status_code == 204

    gone(pusher, of_bob)
    assert pusher.call("GET", f"/Groups/{group['id']}").status_code == 404


def test_a_deleted_user_gets_nothing_by_tokens_and_can_be_pushed_again(pusher: Pusher):
    anna = pusher.pushed()
    role = pusher.caller.vended()

    assert pusher.call("DELETE", f"/Users/{anna['id']}").status_code == 204

    gone(pusher, role)
    assert refused(pusher)["code"] == "Suspended"
    assert pusher.call("GET", f"/Users/{anna['id']}").status_code == 404
    assert pusher.call("DELETE", f"/Users/{anna['id']}").status_code == 404
    assert "anna" not in json.dumps(pusher.kept(anna)["metadata"]["annotations"])

    assert pusher.pushed()["id"] == anna["id"]
    pusher.caller.vended()


def test_a_user_with_another_subject_leaves_the_old_one_suspended(pusher: Pusher):
    anna = pusher.pushed()
    pusher.caller.vended()

    pusher.ok(pusher.patch(anna, replace("userName", "anna.smith")))

    assert refused(pusher)["code"] == "Suspended"
    pusher.caller.vended("anna.smith")


def test_a_user_whom_people_describe_is_left_alone(pusher: Pusher):
    attributes = [{"key": "tenant", "values": ["x"]}]
    mine = pusher.tenant.make("UserAttributes", {"user": pusher.proven.user(), "attributes": attributes, "suspend": True})
    eventually(lambda: refused(pusher)["code"] == "Suspended")  # the API has seen the object

    problem = pusher.ok(pusher.call("POST", "/Users", pusher.user()), 409)

    assert problem["scimType"] == "uniqueness"
    assert f"UserAttributes {mine['metadata']['name']} describes this user" in problem["detail"]
    assert (
        pusher.call(
            "PATCH", f"/Users/{mine['metadata']['name']}", {"schemas": [PATCH], "Operations": [replace("active", False)]}
        ).status_code
        == 404
    )


def test_what_is_pushed_twice_is_written_once(pusher: Pusher):
    anna = pusher.pushed()
    before = pusher.kept(anna)

    assert pusher.call("POST", "/Users", pusher.user()).status_code == 409
    pusher.ok(pusher.call("PUT", f"/Users/{anna['id']}", pusher.user()))
    pusher.ok(pusher.patch(anna, replace("active", True)))

    assert pusher.kept(anna)["metadata"]["annotations"] == before["metadata"]["annotations"]
    assert pusher.kept(anna)["metadata"]["generation"] == before["metadata"]["generation"]


def test_pushes_are_counted_by_their_answer(pusher: Pusher):
    provider = pusher.tenant.name

    pusher.pushed()
    assert pusher.call("POST", "/Users", {"schemas": [USER]}).status_code == 400

    def counted() -> bool:
        _, answer = pusher.api.probe("/metrics")
        text = "\n".join(line for line in answer.splitlines() if "scim" in line)
        assert f'rolevend_scim_pushes_total{{outcome="accepted",provider="{provider}"}} 1.0' in text
        assert f'rolevend_scim_pushes_total{{outcome="refused",provider="{provider}"}} 1.0' in text
        assert f'rolevend_scim_pushes_total{{outcome="failed",provider="{provider}"}} 0.0' in text
        assert 'rolevend_calls_total{call="scimUsers",status="201"}' in text
        assert f'rolevend_scim_pushed_timestamp_seconds{{provider="{provider}"}} ' in text
        return True

    eventually(counted)


def test_only_mapped_attributes_are_kept(pusher: Pusher):
    emails = [{"value": "anna@example.org", "type": "work"}, {"value": "anna@home.example.org", "type": "home"}]
    anna = pusher.pushed(emails=emails, name={"familyName": "Schmidt"}, password="geheim-geheim", phoneNumbers=[{"value": "+49"}])

    assert pusher.attributes(anna) == {"tenant": [pusher.tenant.name], "mail": ["anna@example.org"]}
    text = json.dumps(pusher.kept(anna))
    assert not [each for each in ("home.example.org", "Schmidt", "geheim", "+49") if each in text]


def test_a_responders_suspension_outlasts_a_push(pusher: Pusher):
    anna = pusher.pushed()
    pusher.site.patch({"kind": "UserAttributes", "metadata": {"name": anna["id"]}}, {"suspend": True})

    pusher.ok(pusher.call("PUT", f"/Users/{anna['id']}", pusher.user(title="Lead")))

    assert pusher.kept(anna)["spec"]["suspend"] is True
    assert pusher.attributes(anna)["title"] == ["Lead"]


def test_no_push_takes_back_a_responders_suspension(pusher: Pusher):
    """Neither an activation, nor a deletion, nor another name for a while."""
    anna = pusher.pushed()
    pusher.site.patch({"kind": "UserAttributes", "metadata": {"name": anna["id"]}}, {"suspend": True})

    for active in (False, True):
        pusher.ok(pusher.patch(anna, replace("active", active)))
    assert pusher.kept(anna)["spec"]["suspend"] is True
    assert pusher.call("DELETE", f"/Users/{anna['id']}").status_code == 204
    assert eventually(pusher.pushed)["id"] == anna["id"]  # the operator may write its status meanwhile
    assert pusher.kept(anna)["spec"]["suspend"] is True
    pusher.ok(pusher.patch(anna, replace("userName", "anna.smith")))
    again = eventually(pusher.pushed)
    assert again["id"] != anna["id"]
    assert [pusher.kept(each)["spec"]["suspend"] for each in (anna, again)] == [True, True]
    eventually(lambda: refused(pusher)["code"] == "Suspended")

    pusher.site.patch({"kind": "UserAttributes", "metadata": {"name": again["id"]}}, {"suspend": False})
    for active in (False, True):
        pusher.ok(pusher.patch(again, replace("active", active)))
    pusher.caller.vended()


def test_the_requests_of_okta(pusher: Pusher):
    """As in its documentation: look for the user, create, read all, deactivate, and push a group with its id in the value."""
    assert pusher.ok(pusher.call("GET", "/Users?filter=userName%20eq%20%22anna%22&startIndex=1&count=100"))["totalResults"] == 0
    sent = pusher.user(name={"givenName": "Anna"}, locale="en-US", groups=[], password="1mz050nq", displayName="Anna")
    anna = pusher.ok(pusher.call("POST", "/Users", sent), 201)
    found = pusher.ok(pusher.call("GET", "/Users?filter=userName%20eq%20%22ANNA%22&startIndex=1&count=100"))
    assert (found["totalResults"], found["Resources"][0]["id"]) == (1, anna["id"])
    page = pusher.ok(pusher.call("GET", "/Users?startIndex=1&count=2"))
    assert page["itemsPerPage"] == 1
    pusher.ok(pusher.call("PUT", f"/Users/{anna['id']}", {**anna, "title": "Lead", "groups": []}))
    assert pusher.attributes(anna)["title"] == ["Lead"]
    group = pusher.group("Test SCIMv2")
    named = replace(None, {"id": group["id"], "displayName": "Renamed"})
    pusher.ok(pusher.patch(group, named))
    add = {"op": "add", "path": "members", "value": [{"value": anna["id"], "display": "anna"}]}
    pusher.ok(pusher.patch(group, add))
    assert pusher.attributes(anna)["groups"] == ["Renamed"]
    pusher.ok(pusher.patch(group, replace(None, {"id": group["id"], "displayName": "Again"})))
    assert pusher.attributes(anna)["groups"] == ["Again"]
    assert pusher.ok(pusher.call("GET", f"/Users/{anna['id']}"))["groups"] == [{"value": group["id"], "display": "Again"}]
    pusher.ok(pusher.patch(group, replace("members", [])))
    assert "groups" not in pusher.attributes(anna)


def test_the_requests_of_entra_id(pusher: Pusher):
    """As in its documentation: `Add`, `active` as a text, paths that describe an entry, and members to remove in a value."""
    sent = {**pusher.user(), "meta": {"resourceType": "User"}, "roles": [], "name": {"formatted": "A"}}
    anna = pusher.ok(pusher.call("POST", "/Users", sent), 201)
    operations = [
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "anna@example.org"},
        {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Other"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "b3c5"},
        {"op": "Replace", "value": {"displayName": "A", "name.givenName": "B", f"{ENTERPRISE}:department": pusher.tenant.name}},
        {"op": "Replace", "path": 'addresses[type eq "work"].country', "value": "DE"},
    ]
    pusher.ok(pusher.patch(anna, *operations))
    assert pusher.attributes(anna) == {"tenant": [pusher.tenant.name], "mail": ["anna@example.org"]}
    pusher.ok(pusher.patch(anna, {"op": "Replace", "path": "active", "value": "False"}))
    assert pusher.kept(anna)["spec"]["suspend"] is True
    pusher.ok(pusher.patch(anna, {"op": "Replace", "path": "active", "value": "True"}))
    assert pusher.kept(anna)["spec"]["suspend"] is False
    group = pusher.group("Entra")
    pusher.ok(pusher.patch(group, {"op": "Add", "path": "members", "value": [{"$ref": None, "value": anna["id"]}]}))
    assert pusher.attributes(anna)["groups"] == ["Entra"]
    found = pusher.ok(pusher.call("GET", "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22Entra%22"))
    assert [("members" in each, each["id"]) for each in found["Resources"]] == [(False, group["id"])]
    pusher.ok(pusher.patch(group, {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": anna["id"]}]}))
    assert "groups" not in pusher.attributes(anna)


@pytest.fixture
def outside(tenant: Tenant, api: ApiProcess) -> Iterator[httpx2.Client]:
    names = ("emails", "roles", "title", "department", "displayName", "locale")
    pusher = Pusher(tenant, api).ready(attributes=[{"key": each, "attribute": each} for each in names])
    headers = {"Authorization": f"Bearer {pusher.bearer}"}
    with httpx2.Client(base_url=f"{pusher.api.url}/scim/v2", headers=headers, trust_env=False) as client:
        yield client


@pytest.mark.long
def test_scim2_tester_finds_no_fault(outside: httpx2.Client):
    from scim2_client.engines.httpx2 import SyncSCIMClient  # takes seconds to import, and every process collects this file
    from scim2_tester import Status, check_server

    results = check_server(SyncSCIMClient(outside))

    faults = [f"{each.title}: {each.reason}" for each in results if each.status not in (Status.SUCCESS, Status.SKIPPED)]
    assert not faults, "\n".join(faults)
    assert len(results) > 40


HOSTILE = {
    "no JSON": ("POST", "/Users", "{", 400),
    "a list": ("POST", "/Users", "[]", 400),
    "an unknown schema": ("POST", "/Users", {"schemas": ["urn:x"], "userName": "x"}, 400),
    "no schemas": ("POST", "/Users", {"userName": "x"}, 400),
    "a group as a user": ("POST", "/Users", {"schemas": [GROUP], "displayName": "x"}, 400),
    "no userName": ("POST", "/Users", {"schemas": [USER]}, 400),
    "a number as userName": ("POST", "/Users", {"schemas": [USER], "userName": 7}, 400),
    "active is a map": ("POST", "/Users", {"schemas": [USER], "userName": "x", "active": {}}, 400),
    "a mail that is none": ("POST", "/Users", {"schemas": [USER], "userName": "x", "emails": [{"value": "x", "type": "work"}]}, 400),
    "emails is no list": ("POST", "/Users", {"schemas": [USER], "userName": "x", "emails": 1}, 400),
    "the extension is no map": ("POST", "/Users", {"schemas": [USER], "userName": "\u202ex", ENTERPRISE: 3}, 400),
    "a NUL": ("POST", "/Users", {"schemas": [USER], "userName": "a\u0000b"}, 400),
    "too long a name": ("POST", "/Users", {"schemas": [USER], "userName": "x" * 300}, 400),
    "a member twice": ("POST", "/Users", f'{{"schemas":["{USER}"],"userName":"x","userName":"y"}}', 400),
    "deep": ("POST", "/Users", "[" * 5000, 400),
    "too long a body": ("POST", "/Users", json.dumps({"schemas": [USER], "x": "x" * 1_100_000}), 413),
    "a filter that is none": ("GET", "/Users?filter=userName%20eq", None, 400),
    "an unknown operator": ("GET", "/Users?filter=userName%20like%20%22x%22", None, 400),
    "an unknown attribute": ("GET", "/Users?filter=bogus%20eq%20%22x%22", None, 400),
    "a long filter": ("GET", "/Users?filter=" + "a" * 3000, None, 400),
    "count is a text": ("GET", "/Users?count=many", None, 400),
    "no such user": ("GET", "/Users/nobody", None, 404),
    "a path": ("GET", "/Users/..%2f..%2fsecrets", None, 404),
    "no operations": ("PATCH", "/Users/{anna}", {"schemas": [PATCH]}, 400),
    "an unknown operation": ("PATCH", "/Users/{anna}", {"schemas": [PATCH], "Operations": [{"op": "move", "path": "title"}]}, 400),
    "a path that is none": ("PATCH", "/Users/{anna}", {"schemas": [PATCH], "Operations": [replace("title[", "x")]}, 400),
    "userName is removed": ("PATCH", "/Users/{anna}", {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "userName"}]}, 400),
    "userName is null": ("PATCH", "/Users/{anna}", {"schemas": [PATCH], "Operations": [replace("userName", None)]}, 400),
    "operations are a text": ("PATCH", "/Users/{anna}", {"schemas": [PATCH], "Operations": "x"}, 400),
    "a group without a name": ("POST", "/Groups", {"schemas": [GROUP]}, 400),
    "a member who is nobody": ("POST", "/Groups", {"schemas": [GROUP], "displayName": "g", "members": [{"value": "nobody"}]}, 400),
    "members are a text": ("POST", "/Groups", {"schemas": [GROUP], "displayName": "g", "members": "x"}, 400),
    "active is removed": ("PATCH", "/Users/{anna}", {"schemas": [PATCH], "Operations": [{"op": "remove", "path": "active"}]}, 400),
    "Bulk": ("POST", "/Bulk", {}, 501),
    "another method": ("DELETE", "/Users", None, 405),
}


def test_bad_input_names_the_fault_and_leaves_nothing(pusher: Pusher):
    anna = pusher.pushed()
    before = pusher.kept(anna)
    wrong = []
    for name, (method, path, body, status) in HOSTILE.items():
        content = {"content": body, "headers": {"Content-Type": "application/scim+json"}} if isinstance(body, str) else {}
        answer = pusher.call(method, path.replace("{anna}", anna["id"]), None if content else body, **content)
        document = answer.json()
        if answer.status_code != status or document["status"] != str(status) or len(document["detail"]) < 5:
            wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    after = pusher.kept(anna)
    assert (after["spec"], after["metadata"]["annotations"]) == (before["spec"], before["metadata"]["annotations"])
    assert pusher.ok(pusher.call("GET", "/Users"))["totalResults"] == 1
    assert pusher.ok(pusher.call("GET", "/Groups"))["totalResults"] == 0


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('userName eq "ANNA"', ["anna"]),
        ('userName sw "a"', ["anna"]),
        ('externalId eq "id-bob"', ["bob"]),
        ('externalId eq "ID-BOB"', []),
        ("title pr and active eq true", ["bob"]),
        ("not (title pr)", ["anna"]),
        ('emails[type eq "work" and value co "@example.org"]', ["bob"]),
        ('userName eq "anna" or userName eq "bob"', ["anna", "bob"]),
        (f'{ENTERPRISE}:department ne "x"', ["anna", "bob"]),
    ],
)
def test_filters(pusher: Pusher, filter_: str, found: list[str]):
    pusher.pushed()
    pusher.pushed("bob", title="Lead", emails=[{"value": "bob@example.org", "type": "work"}])

    answer = pusher.ok(pusher.call("GET", "/Users", params={"filter": filter_}))

    assert sorted(each["userName"] for each in answer["Resources"]) == found
    assert answer["totalResults"] == len(found)


def test_pages(pusher: Pusher):
    names = [f"user-{number}" for number in range(5)]
    for name in names:
        pusher.pushed(name)

    def page(**params: int) -> tuple[int, int, list[str]]:
        answer = pusher.ok(pusher.call("GET", "/Users", params=params))
        return answer["totalResults"], answer["startIndex"], [each["userName"] for each in answer["Resources"]]

    first, second, rest = (page(startIndex=start, count=2) for start in (1, 3, 5))
    assert sorted(first[2] + second[2] + rest[2]) == names
    assert page(startIndex=-7, count=-1) == (5, 1, [])
    assert page(startIndex=99) == (5, 99, [])
    assert page(count=10**9)[2] == page()[2]


def test_who_may_push(pusher: Pusher):
    def status(token: str) -> int:
        return pusher.call("GET", "/Users", token=token).status_code

    client = pusher.proven.client
    assert status(pusher.own_token()) == 200
    for wrong in ("", "x", pusher.bearer[:-1], pusher.proven.token(client), pusher.proven.token("anna"), pusher.caller.token):
        assert status(wrong) == 401, wrong
    assert pusher.call("GET", "/Users", token="x").headers["WWW-Authenticate"] == "Bearer"

    pusher.put_tokens(pusher.bearer, "another-token-that-is-longer-than-32-characters")
    eventually(lambda: pusher.ok(pusher.call("GET", "/Users", token="another-token-that-is-longer-than-32-characters")))
    assert status(pusher.bearer) == 200

    pusher.put_tokens("another-token-that-is-longer-than-32-characters", "short")

    def withdrawn() -> bool:
        return status(pusher.bearer) == 401

    assert eventually(withdrawn)
    assert status("short") == 401


def test_each_provider_sees_its_own_users(pusher: Pusher, api: ApiProcess, site: Site):
    other = Tenant(site)
    try:
        neighbour = Pusher(other, api).ready()
        anna = pusher.pushed()

        assert neighbour.ok(neighbour.call("GET", "/Users"))["totalResults"] == 0
        assert neighbour.call("GET", f"/Users/{anna['id']}").status_code == 404
        assert neighbour.call("DELETE", f"/Users/{anna['id']}").status_code == 404
        assert neighbour.pushed()["id"] != anna["id"]
    finally:
        other.leave()


@pytest.mark.parametrize("secret", [SCIM_SECRET, "not-listed"])
def test_a_provider_whose_tokens_cannot_be_read_holds_up_no_other(pusher: Pusher, site: Site, secret: str):
    other = Tenant(site)
    try:
        unreadable = Pusher(other, pusher.api).proven.provider(scim={"tokenSecretRef": {"name": secret, "key": "scim-token.none"}})
        site.told(unreadable, "Ready", "True")

        for _ in range(3):
            pusher.ok(pusher.call("GET", "/Users"))
            assert pusher.call("GET", "/Users", token="").status_code == 401
    finally:
        other.leave()


def test_without_the_setting_there_is_no_such_call(tenant: Tenant, doors: Doors):
    answer = Pusher(tenant, doors.first).call("GET", "/Users")
    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")


def test_the_api_may_write_no_user_that_scim_did_not_make(pusher: Pusher, site: Site):
    """RBAC permits it; the admission policy does not."""
    mine = pusher.tenant.make("UserAttributes", {"user": pusher.proven.user("carl")})
    anna = pusher.pushed()
    change = {"spec": {"attributes": [{"key": "tenant", "values": ["x"]}]}}

    assert "did not make it" in site.cluster.patch(mine, change, user=API).message
    assert "did not make it" in site.cluster.patch(mine, {"metadata": {"labels": {LABEL: "rolevend-scim"}}}, user=API).message
    assert site.cluster.patch(pusher.kept(anna), change, user=API).ok
    assert not site.cluster.delete(pusher.kept(anna), user=API).ok
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/{SUSPENSION}"
    switched = site.cluster.call("PATCH", path, {"data": {"suspend": "false"}}, user=API, content_type="application/merge-patch+json")
    assert "SCIM did not make it" in switched.message
    assert "SCIM did not make it" in site.cluster.call("DELETE", path, user=API).message


def test_the_api_may_change_nothing_under_a_name_that_scim_does_not_give(pusher: Pusher, site: Site):
    """An API that is taken over may create a ConfigMap, so it could be there before a switch or a record of others."""
    labelled = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"of-{pusher.tenant.name}", "labels": {LABEL: "rolevend-scim"}},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    assert site.cluster.call("POST", path, labelled, user=API).ok

    named = f"{path}/of-{pusher.tenant.name}"
    changed = site.cluster.call("PATCH", named, {"data": {"suspend": "false"}}, user=API, content_type="application/merge-patch+json")
    assert "SCIM did not make it" in changed.message
    assert "SCIM did not make it" in site.cluster.call("DELETE", named, user=API).message
    assert site.cluster.call("DELETE", named).ok


@pytest.mark.long
def test_while_the_api_server_is_away_it_says_when_to_try_again_and_nothing_is_lost(pusher: Pusher, doors: Doors, site: Site):
    anna, proxy = pusher.pushed(), ApiProxy(site.control_plane.server)
    try:
        replica = Pusher(pusher.tenant, doors.open({"API_SCIM": "true"}, proxy.url))
        replica.api.wait_until_ready()
        eventually(lambda: replica.ok(replica.call("GET", f"/Users/{anna['id']}")))
        proxy.cut()

        answers = [replica.patch(anna, replace("active", False)), replica.call("POST", "/Users", replica.user("bob"))]

        for answer in answers:
            assert (answer.status_code, answer.json()["status"]) == (503, "503"), answer.text
            assert int(answer.headers["retry-after"]) > 0
        proxy.restore()
        eventually(lambda: replica.ok(replica.patch(anna, replace("active", False))))
        assert pusher.kept(anna)["spec"]["suspend"] is True
        replica.api.stop()
    finally:
        proxy.close()


@pytest.mark.long
def test_what_one_replica_wrote_another_one_takes_back_at_once(pusher: Pusher, doors: Doors):
    second = Pusher(pusher.tenant, doors.open({"API_SCIM": "true"}))
    second.api.wait_until_ready()
    anna = pusher.pushed()
    eventually(lambda: second.ok(second.call("GET", f"/Users/{anna['id']}")))
    group = pusher.group("Analysts")
    member = {"op": "add", "path": "members", "value": [{"value": anna["id"]}]}
    takes_back = (
        {"op": "remove", "path": f'members[value eq "{anna["id"]}"]'},
        {"op": "remove", "path": "members"},
        replace("members", []),
    )
    for operation in takes_back * 3:
        pusher.ok(pusher.patch(group, member))
        second.ok(second.patch(group, operation))
        assert "groups" not in pusher.attributes(anna), operation

    pusher.ok(pusher.patch(group, member))
    assert second.call("DELETE", f"/Groups/{group['id']}").status_code == 204
    assert "groups" not in pusher.attributes(anna)
    assert second.call("POST", "/Users", second.user()).status_code == 409


def test_a_subject_that_is_left_a_second_time_is_suspended_again(pusher: Pusher):
    anna = pusher.pushed()
    pusher.ok(pusher.patch(anna, replace("userName", "anna.smith")))
    again = pusher.pushed()
    pusher.caller.vended()

    pusher.ok(pusher.patch(again, replace("userName", "anna.jones")))

    assert refused(pusher)["code"] == "Suspended"
    pusher.caller.vended("anna.jones")


def test_a_deleted_user_is_suspended_also_if_a_responder_ended_the_suspension(pusher: Pusher):
    anna = pusher.pushed()
    pusher.ok(pusher.patch(anna, replace("active", False)))
    pusher.site.patch({"kind": "UserAttributes", "metadata": {"name": anna["id"]}}, {"suspend": False})

    assert pusher.call("DELETE", f"/Users/{anna['id']}").status_code == 204

    assert pusher.kept(anna)["spec"]["suspend"] is True


def test_nothing_about_a_user_keeps_a_deactivation_from_them(tenant: Tenant, api: ApiProcess, site: Site):
    """Neither a userName that two replicas gave twice, nor a changed mapping that does not fit the user."""
    pusher = Pusher(tenant, api).ready(subject="externalId")
    anna, bob = pusher.pushed(), pusher.pushed("bob")
    long = pusher.pushed("c" * 300, externalId="id-long")
    known = json.loads(pusher.kept(bob)["metadata"]["annotations"]["rolevend.dev/scim"])
    known["user"]["userName"] = anna["userName"]
    answer = site.cluster.patch(pusher.kept(bob), {"metadata": {"annotations": {"rolevend.dev/scim": json.dumps(known)}}})
    assert answer.ok, answer.message

    pusher.ok(pusher.patch(bob, replace("active", False)))

    mapping = [*pusher.scim["attributes"], {"key": "name", "attribute": "userName"}]
    site.patch({"kind": "IdentityProvider", "metadata": {"name": tenant.name}}, {"scim": {"attributes": mapping}})

    def mapped() -> bool:
        for active in (False, True):
            pusher.ok(pusher.patch(anna, replace("active", active)))
        return "name" in pusher.attributes(anna)

    eventually(mapped)
    pusher.ok(pusher.patch(long, replace("active", False)))

    for each in (bob, long):
        assert pusher.kept(each)["spec"]["suspend"] is True


def test_a_provider_with_another_issuer_leaves_its_users_of_the_old_one_suspended(pusher: Pusher):
    anna, bob = pusher.pushed(), pusher.pushed("bob")
    before = pusher.proven.issuer
    pusher.site.patch({"kind": "IdentityProvider", "metadata": {"name": pusher.tenant.name}}, {"issuer": f"{before}/moved"})

    def moved() -> bool:
        for title in ("Lead", "Head"):
            pusher.ok(pusher.patch(anna, replace("title", title)))
        return bool(pusher.kept(anna)["spec"]["user"]["issuer"] == f"{before}/moved")

    eventually(moved)
    assert pusher.call("DELETE", f"/Users/{bob['id']}").status_code == 204

    assert pusher.kept(bob)["spec"]["user"]["issuer"] == f"{before}/moved"
    answer = pusher.site.cluster.call("GET", "/apis/rolevend.dev/v1alpha1/userattributes")
    left = [each["spec"] for each in answer.body["items"] if each["spec"]["user"]["issuer"] == before]
    assert sorted((each["user"]["subject"], each["suspend"]) for each in left) == [("anna", True), ("bob", True)]
