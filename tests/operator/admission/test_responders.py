"""`rolevend revoke` against a real API server, with the chart's rights and admission. The tests write the statuses, and remove the
finalizer, as the operator does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from rolevend.cli import cli
from rolevend.errors import RolevendError
from tests.support.installed import AGENTS, ELSEWHERE, OPERATOR, RBAC, Body, Cluster
from tests.support.manifests import MISSING, changed, valid
from tests.support.waiting import eventually

RITA, EVE, DAN = "rita@example.org", "eve@example.org", "dan@example.org"
BY, BECAUSE = "rolevend.dev/revoked-by", "rolevend.dev/revoked-because"
DELETE = {"apiGroups": ["rolevend.dev"], "resources": ["vendedroles"], "verbs": ["get", "list", "watch", "delete"]}


class Ran(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def people(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Rita is a responder for all namespaces, Eve may delete roles in one, and Dan is a responder there: the kubeconfig of each."""
    cluster.bind(RITA, "rolevend-responder")
    cluster.bind(DAN, "rolevend-responder", AGENTS)
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "deletes-roles"}, "rules": [DELETE]}
    cluster.kubectl("apply", "-f", "-", body=role)
    cluster.bind(EVE, "deletes-roles", AGENTS)
    folder = tmp_path_factory.mktemp("responders")
    return {user: cluster.environment(user, folder)["KUBECONFIG"] for user in (RITA, EVE, DAN)}


class Incident:
    """Roles of agents that have names of the test's own."""

    def __init__(self, cluster: Cluster, people: dict[str, str], agent: str) -> None:
        self.cluster, self.people, self.agent = cluster, people, agent
        self.made: list[Body] = []

    def role(
        self, name: str, *, namespace: str = AGENTS, agent: str = "", tables: tuple[str, ...] = ("claims.people",), **more: Any
    ) -> Body:
        body = changed(valid("VendedRole", f"{self.agent}-{name}", namespace), "spec.agentRef.name", agent or self.agent)
        body = changed(body, "spec.resources", MISSING)
        body["metadata"]["annotations"] = more.pop("annotations", {})
        body["spec"].update(more)
        answer = self.cluster.create(body)
        assert answer.ok, answer.message
        self.made.append(body)
        platforms = [
            {"name": each["name"], "state": "Live", "tableCount": len(tables), "tables": list(tables)}
            for each in body["spec"]["platformRefs"]
        ]
        subject = body["spec"]["user"]["subject"]
        status = {"roleName": f"IMMUTA_VENDED_X_{name}", "user": {"handle": subject.upper()[:11], "proof": "Token"}, "platforms": platforms}
        assert self.cluster.patch(body, {"status": status}, subresource="status").ok
        return body

    def run(self, *words: str, by: str = RITA) -> Ran:
        done = CliRunner().invoke(cli, ["revoke", *words], env={"KUBECONFIG": self.people[by]})
        if isinstance(done.exception, RolevendError):
            return Ran(1, done.stdout, f"{done.stderr}rolevend: {done.exception}\n")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    @property
    def mine(self) -> tuple[str, str]:
        return "--agent", f"{AGENTS}/{self.agent}"

    def listed(self, *words: str) -> set[str]:
        """The roles that a dry run shows, without the name of the agent."""
        done = self.run(*words, "--dry-run")
        assert done.returncode == 0, done.stderr
        first = (line.split()[0].partition("/")[2] for line in done.stdout.splitlines() if line.split() and "/" in line.split()[0])
        return {name.removeprefix(f"{self.agent}-") for name in first if name.startswith(f"{self.agent}-")}

    def now(self, body: Body) -> Body | None:
        answer = self.cluster.read(body)
        return answer.body if answer.ok else None

    def drop(self, body: Body) -> Body:
        """As the operator does when the object is deleted: return the object as it was last."""
        last = eventually(lambda: (found := self.now(body)) and "deletionTimestamp" in found["metadata"] and found)
        assert self.cluster.patch(body, {"metadata": {"finalizers": []}}, user=OPERATOR).ok
        return dict(last)

    def leave(self) -> None:
        for body in self.made:
            self.cluster.delete(body)
            self.cluster.patch(body, {"metadata": {"finalizers": []}}, user=OPERATOR)


@pytest.fixture
def incident(cluster: Cluster, people: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Incident]:
    name = request.node.name.removeprefix("test_").partition("[")[0].replace("_", "-")[:30].strip("-")
    incident = Incident(cluster, people, name)
    yield incident
    incident.leave()


@contextmanager
def dropping(incident: Incident, *roles: Body) -> Iterator[list[Body]]:
    """What the operator does while a command waits. The list has the objects as they were last, in the end."""
    found: list[Body] = []
    with ThreadPoolExecutor(1) as executor:
        done = executor.submit(lambda: found.extend(map(incident.drop, roles)))
        yield found
        done.result()


def test_filters_combine_and_a_dry_run_changes_nothing(incident: Incident):
    bob = {"issuer": "https://idp.example.org", "subject": "bob"}
    both = [{"name": "warehouse"}, {"name": "annex"}]
    roles = [
        incident.role("a"),
        incident.role("b", user=bob, purpose="reporting"),
        incident.role("c", tables=("claims.payments", 'claims."a.b"'), platformRefs=both),
        incident.role("d", namespace=ELSEWHERE),
    ]
    before = [incident.now(each) for each in roles]

    assert incident.listed(*incident.mine) == {"a", "b", "c"}
    assert incident.listed(*incident.mine, "--user", "bob") == incident.listed(*incident.mine, "--user", "BOB") == {"b"}
    assert incident.listed(*incident.mine, "--purpose", "fraud-review") == {"a", "c"}
    assert incident.listed(*incident.mine, "--purpose", "fraud-review", "--platform", "annex") == {"c"}
    assert incident.listed(*incident.mine, "--table", "claims.people") == {"a", "b"}
    assert incident.listed(*incident.mine, "--table", 'claims."a.b"', "--platform", "annex") == {"c"}
    assert incident.listed("--agent", f"{ELSEWHERE}/{incident.agent}") == {"d"}
    assert incident.listed("--agent", incident.agent, "--namespace", AGENTS) == {"a", "b", "c"}
    assert incident.listed("--all") >= {"a", "b", "c", "d"}
    assert incident.listed("--all", "--namespace", ELSEWHERE) == {"d"}
    assert [incident.now(each) for each in roles] == before


def test_the_roles_that_match_end_with_who_and_why_and_no_others(incident: Incident):
    first, second, other = incident.role("a"), incident.role("b"), incident.role("c", purpose="reporting")

    with dropping(incident, first, second) as last:
        done = incident.run(*incident.mine, "--purpose", "fraud-review", "--because", "INC-4711: prompt injection", "--yes")

    assert done.returncode == 0, done.stderr
    assert "2 roles of 1 agent and 1 user" in done.stdout
    assert f"2 roles end now, with their sessions and running statements, as revoked by {RITA}: INC-4711: prompt injection" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 of 2 roles are gone"
    annotations = [each["metadata"]["annotations"] for each in last]
    assert [(each[BY], each[BECAUSE]) for each in annotations] == [(RITA, "INC-4711: prompt injection")] * 2
    assert (incident.now(first), incident.now(second)) == (None, None)
    left = incident.now(other)
    assert left is not None
    assert "deletionTimestamp" not in left["metadata"]
    assert BY not in left["metadata"]["annotations"]


def test_a_role_that_is_not_gone_in_time_is_named_with_its_reason_and_a_second_run_waits_for_it(incident: Incident):
    role = incident.role("a")

    done = incident.run(*incident.mine, "--because", "INC-1", "--yes", "--wait", "0.5")

    assert done.returncode == 3
    assert f"left: {AGENTS}/{incident.agent}-a: the operator has not begun to drop it: see if it runs" in done.stdout
    reason = {"type": "Ready", "status": "False", "reason": "Dropping", "message": "PlatformUnavailable: no answer"}
    status = {"conditions": [{**reason, "lastTransitionTime": "2026-11-29T12:00:00Z", "observedGeneration": 1}]}
    assert incident.cluster.patch(role, {"status": status}, subresource="status").ok
    again = incident.run(*incident.mine, "--because", "INC-2", "--yes", "--wait", "0")
    assert again.returncode == 3
    assert "1 of them are ending already" in again.stdout
    assert "it is being dropped: PlatformUnavailable: no answer" in again.stdout

    with dropping(incident, role) as last:
        third = incident.run(*incident.mine, "--because", "INC-2", "--yes")

    assert third.returncode == 0, third.stdout
    assert last[0]["metadata"]["annotations"][BECAUSE] == "INC-1", "the first reason stays"
    assert incident.run(*incident.mine, "--because", "INC-2", "--yes").stdout.startswith("no live role matches --agent")


def test_nothing_to_end_is_a_success_with_a_sentence_and_the_name_that_was_meant(incident: Incident):
    incident.role("a")

    nothing = incident.run("--agent", f"{AGENTS}/{incident.agent}x", "--because", "INC-1", "--yes")
    table = incident.run(*incident.mine, "--table", "claims.peple", "--dry-run")

    assert (nothing.returncode, table.returncode) == (0, 0)
    assert nothing.stdout == (
        f"no live role matches --agent {AGENTS}/{incident.agent}x: nothing to end; did you mean {AGENTS}/{incident.agent}?\n"
    )
    assert table.stdout.endswith("nothing to end; did you mean claims.people?\n")


def test_a_role_whose_tables_are_not_all_listed_may_read_the_table(incident: Incident):
    many, denied = incident.role("many"), incident.role("denied")
    assert incident.cluster.patch(
        many, {"status": {"platforms": [{"name": "warehouse", "state": "Live", "tableCount": 51}]}}, subresource="status"
    ).ok
    refused = {"type": "Granted", "status": "False", "reason": "NoPolicy", "message": "no", "lastTransitionTime": "2026-11-29T12:00:00Z"}
    assert incident.cluster.patch(denied, {"status": {"roleName": None, "conditions": [refused]}}, subresource="status").ok

    done = incident.run(*incident.mine, "--table", "claims.payments", "--dry-run")

    assert incident.listed(*incident.mine, "--table", "claims.payments") == {"many"}
    assert "the status of 1 of these roles does not list all of their tables: they may read claims.payments, or not" in done.stderr


def test_a_caller_who_may_not_write_the_reason_is_given_the_missing_rule_and_nothing_ends(incident: Incident):
    role = incident.role("a")
    before = incident.now(role)

    dry = incident.run(*incident.mine, "--dry-run", by=EVE)
    done = incident.run(*incident.mine, "--because", "INC-1", "--yes", by=EVE)

    rule = "{apiGroups: [rolevend.dev], resources: [vendedroles], verbs: [patch]}"
    said = f"you may not patch VendedRoles in namespace {AGENTS}, which writes who ends them and why; you need the rule {rule} there"
    assert (dry.returncode, done.returncode) == (0, 1)
    assert f"note: without --dry-run this fails: {said}" in dry.stderr
    assert f"rolevend: nothing is ended: {said}, which the ClusterRole rolevend-responder has" in done.stderr
    assert incident.now(role) == before


def test_a_responder_of_one_namespace_names_it(incident: Incident):
    role = incident.role("a")

    everywhere = incident.run("--user", "anna", "--dry-run", by=DAN)
    with dropping(incident, role) as last:
        done = incident.run(*incident.mine, "--because", "INC-1", "--yes", by=DAN)

    assert everywhere.returncode == 1
    assert "you may not list VendedRoles in all namespaces; name one with --namespace" in everywhere.stderr
    assert done.returncode == 0, done.stderr
    assert last[0]["metadata"]["annotations"][BY] == DAN


def test_a_responder_who_may_list_namespaces_sees_the_roles_of_those_that_are_theirs(incident: Incident):
    incident.role("a")
    incident.role("b", namespace=ELSEWHERE)
    rule = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": "lists-namespaces"}, "rules": [rule]}
    incident.cluster.kubectl("apply", "-f", "-", body=role)
    incident.cluster.bind(DAN, "lists-namespaces")
    try:
        done = incident.run("--user", "anna", "--dry-run", by=DAN)
    finally:
        incident.cluster.kubectl("delete", "clusterrolebinding", f"{DAN}.lists-namespaces")

    assert done.returncode == 0, done.stderr
    assert f"{AGENTS}/{incident.agent}-a" in done.stdout
    assert f"{ELSEWHERE}/{incident.agent}-b" not in done.stdout
    assert "note: you may list VendedRoles in 1 namespaces; the roles of" in done.stderr


def test_an_agent_that_fills_the_annotations_of_its_role_does_not_keep_it(incident: Incident):
    """The API server permits 256 KiB of annotations, and the reason is one."""
    role = incident.role("a", annotations={"padding": "x" * (256 * 1024 - 120)})

    with dropping(incident, role):
        done = incident.run(*incident.mine, "--because", "INC-1", "--yes")

    assert done.returncode == 0, done.stdout
    assert f"note: {AGENTS}/{incident.agent}-a ends without your name and reason, which could not be written: " in done.stderr


def test_an_interrupted_command_says_that_some_roles_end(incident: Incident):
    role = incident.role("a")
    command = [sys.executable, "-m", "rolevend", "revoke", *incident.mine, "--because", "INC-1", "--yes", "--wait", "600"]
    environment = {**os.environ, "KUBECONFIG": incident.people[RITA]}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        eventually(lambda: (found := incident.now(role)) and "deletionTimestamp" in found["metadata"])
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)

    assert running.returncode == 130
    assert "interrupted: some of them end, and others live; run the same command again" in said


class TestTheReason:
    """Its author cannot be forged, and it does not change when the role ends."""

    def write(self, incident: Incident, role: Body, user: str | None, **annotations: str | None) -> tuple[int, str]:
        named = {{"by": BY, "because": BECAUSE}[key]: value for key, value in annotations.items()}
        answer = incident.cluster.patch(role, {"metadata": {"annotations": named}}, user=user)
        return answer.status, answer.message

    def test_nobody_names_another_user_also_the_operator(self, incident: Incident):
        role = incident.role("a")

        for user in (RITA, DAN, OPERATOR):
            status, message = self.write(incident, role, user, by="alice@example.org", because="INC-1")
            assert status == 403
            assert f"the reason is of the user who writes it: write {user}" in message

    def test_a_reason_without_its_author_and_one_of_somebody_else_with_another_text_are_refused(self, incident: Incident):
        role = incident.role("a")

        assert self.write(incident, role, RITA, because="INC-1")[0] == 403
        assert self.write(incident, role, RITA, by=RITA, because="INC-1")[0] == 200
        assert self.write(incident, role, DAN, because="INC-2")[0] == 403
        assert self.write(incident, role, DAN, by=None, because=None)[0] == 403
        assert self.write(incident, role, DAN, by=DAN, because="INC-2")[0] == 200

    @pytest.mark.parametrize("because", [None, "", "x" * 257, "two\nlines", "\u202eturned"])
    def test_a_reason_is_one_visible_line(self, incident: Incident, because: str | None):
        role = incident.role("a")

        status, message = self.write(incident, role, RITA, by=RITA, because=because)

        assert status == 422
        assert "must be 1 to 256 characters on one line" in message

    def test_after_the_deletion_began_nobody_writes_one(self, incident: Incident):
        role = incident.role("a")
        assert self.write(incident, role, RITA, by=RITA, because="INC-1")[0] == 200
        assert incident.cluster.delete(role, user=RITA).ok

        for user in (RITA, DAN):
            status, message = self.write(incident, role, user, by=user, because="INC-2")
            assert status == 403
            assert "not after its deletion began" in message

    def test_no_object_is_created_with_one(self, incident: Incident):
        body = changed(valid("VendedRole", f"{incident.agent}-a"), "metadata.annotations", {BY: RITA, BECAUSE: "INC-1"})

        refused = incident.cluster.create(body)

        assert refused.status == 403
        assert "not at its creation" in refused.message
