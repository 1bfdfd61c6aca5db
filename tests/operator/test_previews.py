"""An approver learns in numbers what an approval adds: the platform counts, and neither the agent nor a stranger reads the result."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rolevend.cli import cli
from tests.support.requesting import ALICE, BOB, AccessRequested, Requester
from tests.support.site import AGENTS, DOMAIN, Body
from tests.support.tenancy import Tenant
from tests.support.waiting import eventually

LAST = {"name": "last", "columns": {"matchNames": ["ssn"]}, "type": "Partial", "partial": {"keepLast": 4}}
SSN = "SELECT person_id, ssn FROM people ORDER BY 1"


@pytest.fixture
def requester(tenant: Tenant) -> Requester:
    return Requester(tenant)


def preview(requester: Requester, request: AccessRequested, by: str = ALICE, **wanted: Any) -> Body:
    """Create a preview as its author, and return its effect."""
    spec = {
        "requestRef": {"namespace": AGENTS, "name": request.name, "uid": request.uid},
        "offerRef": {"name": requester.offer_name},
        "by": by,
        "verdict": "Preview",
        **wanted,
    }
    described = requester.tenant.described("AccessDecision", spec, f"preview-{request.name}-{len(request.votes)}", DOMAIN)
    answer = requester.site.cluster.create(described, user=by)
    assert answer.ok, answer.message
    made = requester.tenant.keep(answer.body)
    request.votes.append(made)
    return dict(eventually(lambda: requester.site.cluster.read(made).body.get("status", {}).get("effect")))


def pending(requester: Requester, on_request: Body | None = None, **policy: Any) -> AccessRequested:
    request = requester.ready(on_request, **policy).ask()
    request.is_now("Pending")
    return request


def test_the_numbers_are_those_of_the_role_that_reads_with_the_approval(requester: Requester):
    request = pending(requester)
    before = requester.tenant.ask().ready().rows(SSN)

    (people,) = preview(requester, request)["tables"]

    requester.vote(request)
    after = requester.role(request).ready().rows(SSN)
    assert (people["rowsToday"], people["rowsGranted"]) == (len(before), len(after)) == (2, 2)
    hidden, clear = (len([each for each in rows if (each[1] is None) is none]) for rows, none in ((before, True), (after, False)))
    (ssn,) = people["columns"]
    assert ssn == {
        "name": "ssn",
        "today": [{"shown": "Nullify", "rows": hidden}],
        "granted": [{"shown": "Clear", "rows": clear}],
    }


def test_an_offer_for_some_rows_changes_the_cells_of_these_rows_alone(requester: Requester):
    request = pending(requester, rowFilter="person_id = 1")

    (people,) = preview(requester, request)["tables"]

    (ssn,) = people["columns"]
    assert ssn["granted"] == [{"shown": "Clear", "rows": 1}, {"shown": "Nullify", "rows": 1}]


def test_the_masks_and_tables_of_the_approver_are_counted(requester: Requester):
    request = pending(requester)

    (people,) = preview(requester, request, masks=[LAST])["tables"]
    other = preview(requester, request, tables=[{"schema": "claims", "table": "claims"}])

    assert people["columns"][0]["granted"] == [{"shown": "Partial(4)", "rows": 2}]
    assert "would not be vended now" in other["unknown"]


def test_a_preview_decides_nothing(requester: Requester):
    request = pending(requester, {"approval": {"required": 1}})

    preview(requester, request, by=BOB)

    requester.role(request).refused("NotApproved", granted="False")
    assert request.status["message"].startswith("people decide, 0 of 1 needed approvals")
    requester.vote(request)
    request.is_now("Approved")


def test_of_a_request_that_ended_nothing_is_counted(requester: Requester):
    request = pending(requester)
    requester.vote(request, "Deny")
    request.is_now("Denied")

    effect = preview(requester, request)
    assert (effect["unknown"], effect.get("tables")) == (f"AccessRequest {AGENTS}/{request.name} is Denied", None)


def test_neither_the_agent_nor_a_stranger_can_ask_for_the_numbers_or_read_them(requester: Requester):
    request = pending(requester)
    preview(requester, request)
    cluster, agent = requester.site.cluster, f"system:serviceaccount:{AGENTS}:{requester.tenant.name}"

    assert "rowsToday" not in str(request.site.cluster.read(request.body).body)
    for user in (agent, "eve@example.org"):
        assert not cluster.may(user, "get", "accessdecisions", namespace=DOMAIN)
        spec = {**request.votes[0]["spec"], "by": user}
        answer = cluster.create(requester.tenant.described("AccessDecision", spec, "forged", DOMAIN), user=user)
        assert (answer.ok, "orbidden" in answer.message) == (False, True), answer.message


def test_the_command_shows_the_numbers_before_it_asks_and_deletes_the_preview(requester: Requester, tmp_path: Path):
    request = pending(requester)
    environment = {"KUBECONFIG": requester.site.cluster.environment(ALICE, tmp_path)["KUBECONFIG"]}
    requester.site.cluster.bind(ALICE, "rolevend-viewer", AGENTS)

    done = CliRunner().invoke(cli, ["approve", request.name, "-n", AGENTS, "--yes", "--mask", "ssn=Partial(4)"], env=environment)

    assert done.exit_code == 0, done.output
    lines = [each.strip() for each in done.stdout.splitlines()]
    assert "claims.people: 2 rows today, 2 rows with this" in lines
    place = lines.index("ssn")
    assert lines[place + 1 : place + 3] == ["today     hidden in all 2 rows", "with this Partial(4) in all 2 rows"]
    path = f"/apis/rolevend.dev/v1alpha1/namespaces/{DOMAIN}/accessdecisions"
    votes = [each["spec"] for each in requester.site.cluster.call("GET", path).body["items"]]
    assert [each["verdict"] for each in votes if each["requestRef"]["uid"] == request.uid] == ["Approve"]
