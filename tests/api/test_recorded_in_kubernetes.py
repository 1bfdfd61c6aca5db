"""With `api.record: Kubernetes` a role of the API is a VendedRole, although a database is the ledger of used tokens."""

from tests.support.calling import Caller, Doors
from tests.support.proving import Proven
from tests.support.recorded import first_recorded
from tests.support.site import AGENTS, Site


def test_the_role_is_an_object_and_its_token_is_used_in_the_ledger(site: Site, proven: Proven, doors: Doors, on_record: None):
    database = Caller(proven.ready_to_ask(), doors.first)
    first_recorded(database)
    door = doors.open({"API_RECORD": "Kubernetes"})
    door.wait_until_ready()
    kubernetes = Caller(proven, door)
    kubernetes.release(kubernetes.vended())  # asked until the new process knows everything
    question = database.question()

    answer = kubernetes.call("POST", "/v1/vended-roles", question)

    assert answer.status_code == 201, answer.text
    role = answer.json()
    assert site.warehouse.ask(f"SELECT record IS NULL FROM rolevend.lease WHERE role = '{role['roleName']}'") == [(True,)]
    shown = site.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{AGENTS}/vendedroles/{role['id']}")
    assert "rolevend.dev/record" not in shown.body["metadata"]["labels"], shown.body["metadata"]
    uid = shown.body["metadata"]["uid"]
    assert site.warehouse.ask("SELECT count(*) FROM rolevend.used_token WHERE holder = %s", uid) == [(1,)]
    again = database.call("POST", "/v1/vended-roles", question)
    assert (again.status_code, again.json()["code"]) == (403, "TokenReplayed"), again.text
    assert "used" in again.text
    assert database.release(role).status_code == 204
