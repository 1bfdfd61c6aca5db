"""`rolevend requests`, `approve` and `deny` against a real API server, with the chart's rights and admission. The tests write the statuses,
as the operator does."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from click.testing import CliRunner

from rolevend.approvals.ballot import decision_name
from rolevend.cli import cli
from rolevend.errors import RolevendError
from tests.support.installed import AGENTS, ELSEWHERE, Body, Cluster
from tests.support.manifests import changed, offer, valid
from tests.support.waiting import PROGRAM, eventually

OFFERS = "domain-claims"
ALICE, BOB, EVE = "alice@example.org", "bob@example.org", "eve@example.org"
DIGEST = f"sha256:{'a' * 64}"
ANNA = {"handle": "ANNA", "proof": "Token", "token": {"provider": "workforce", "type": "AccessToken", "digest": "0" * 64}}


def stamp(**ago: float) -> str:
    return f"{datetime.now(UTC) - timedelta(**ago):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture(scope="module")
def people(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Alice and Bob approve, and Eve may only read: the environment of a process of each."""
    for user in (ALICE, BOB):
        cluster.bind(user, "rolevend-approver", OFFERS)
    for user in (ALICE, BOB, EVE):
        for namespace in (AGENTS, ELSEWHERE, OFFERS):
            cluster.bind(user, "rolevend-viewer", namespace)
    folder = tmp_path_factory.mktemp("people")
    return {user: cluster.environment(user, folder) for user in (ALICE, BOB, EVE)}


class Ran(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Approvals:
    """One offer, and requests for it, under names of the test's own."""

    def __init__(self, cluster: Cluster, people: dict[str, dict[str, str]], name: str) -> None:
        self.cluster, self.people, self.name = cluster, people, name
        self.made: list[Body] = []
        self.offer = self._made(offer(name, OFFERS))

    def ask(self, name: str = "", *, narrowed: bool = True, **spec: Any) -> Body:
        """A request that people decide about."""
        body = changed(valid("AccessRequest", name or self.name), "spec.offerRef.name", self.name)
        body["spec"].update(spec)
        if not narrowed:
            del body["spec"]["tables"], body["spec"]["columns"]
        request = self._made(body)
        self.write(request, state="Pending", reason="PeopleDecide", message="people decide, 0 of 1 needed approvals")
        return request

    def write(self, request: Body, **status: Any) -> None:
        made = self.offer["metadata"]
        seen = {"uid": made["uid"], "generation": made["generation"], "digest": DIGEST, "display": "SSNs of open claims in clear"}
        answer = self.cluster.patch(request, {"status": {"user": ANNA, "offer": seen, **status}}, subresource="status")
        assert answer.ok, answer.message

    def approved(self, request: Body, by: str | None = ALICE, **status: Any) -> None:
        votes = [{"by": by, "decision": {"name": decision_name(request["metadata"]["name"], by), "uid": "u"}, "at": stamp()}] if by else []
        approval = {"decidedAt": stamp(), "claimUntil": stamp(hours=-1), "expirationSeconds": 600, "approvers": votes}
        if by is None:
            approval["rule"] = "small"
        why = f"approved by {by} for 600 seconds" if by else "rule small approves it for 600 seconds"
        self.write(request, **{"state": "Approved", "reason": "ApprovedByPeople", "message": why, "approval": approval, **status})

    def vote(self, request: Body, by: str = ALICE) -> Body:
        """The AccessDecision as the API server has it, when it is there."""
        name = decision_name(request["metadata"]["name"], by)
        wanted = {**valid("AccessDecision", name, OFFERS)}
        return eventually(lambda: (answer := self.cluster.read(wanted)).ok and answer.body)

    def count(self, vote: Body, *, counts: bool, message: str) -> None:
        assert self.cluster.patch(vote, {"status": {"counted": counts, "message": message}}, subresource="status").ok

    def run(self, user: str, *words: str) -> Ran:
        """In this process, which is faster; `main` prints an error as one line. No operator runs that would count."""
        more = ["--no-count"] if words[0] == "approve" else []
        if words[0] != "requests" and "--wait" not in words:
            more += ["--wait", f"{PROGRAM}"]  # for `answering`, on a busy machine
        done = CliRunner().invoke(cli, [*words, *more], env={"KUBECONFIG": self.people[user]["KUBECONFIG"]})
        if isinstance(done.exception, RolevendError):
            return Ran(1, done.stdout, f"{done.stderr}rolevend: {done.exception}\n")
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Ran(done.exit_code, done.stdout, done.stderr)

    def start(self, user: str, *words: str, **streams: Any) -> "subprocess.Popen[str]":
        environment = {**self.people[user], "PYTHONUNBUFFERED": "1"}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        return subprocess.Popen([sys.executable, "-m", "rolevend", *words], env=environment, text=True, **pipes)

    def leave(self) -> None:
        listed = self.cluster.call("GET", f"/apis/rolevend.dev/v1alpha1/namespaces/{OFFERS}/accessdecisions").body["items"]
        votes = [{**each, "kind": "AccessDecision"} for each in listed]
        for body in (*self.made, *(each for each in votes if each["spec"]["offerRef"]["name"] == self.name)):
            self.cluster.delete(body)

    def _made(self, body: Body) -> Body:
        answer = self.cluster.create(body)
        assert answer.ok, answer.message
        self.made.append(body)
        return answer.body


@pytest.fixture
def approvals(cluster: Cluster, people: dict[str, dict[str, str]], request: pytest.FixtureRequest) -> Iterator[Approvals]:
    name = request.node.name.removeprefix("test_").partition("[")[0].replace("_", "-")[:40].strip("-")
    approvals = Approvals(cluster, people, name)
    yield approvals
    approvals.leave()


@contextmanager
def answering(then: Any) -> Iterator[None]:
    """What the operator does while a command waits."""
    with ThreadPoolExecutor(1) as executor:
        done = executor.submit(then)
        yield
        done.result()


def test_requests_are_listed_pending_ones_first_with_what_the_agent_says_made_harmless(approvals: Approvals):
    waiting = approvals.ask(justification={"text": "Ignore that.\nSee https://evil.example.org \u200b " + "x" * 200})
    used = approvals.ask(f"{approvals.name}-2", expirationSeconds=900)
    approvals.approved(used)

    done = approvals.run(EVE, "requests")

    assert done.returncode == 0
    assert approvals.name not in done.stderr  # there are notes on requests of other tests, whose offers are gone
    header, *rows = [line for line in done.stdout.splitlines() if "NAME" in line or approvals.name in line]
    assert header.split() == ["NAME", "STATE", "AGENT", "USER", "OFFER", "FOR", "AGE", "LEFT", "JUSTIFICATION"]
    first, second = (row.split("  ") for row in rows)
    cells = [each.strip() for each in first if each]
    assert cells[:6] == [waiting["metadata"]["name"], "Pending", "finbot", "anna (Token)", f"{OFFERS}/{approvals.name}", "10m"]
    assert cells[7].startswith(("1h59m", "1h58m"))
    assert cells[8].startswith('the agent says (not verified): "Ignore that. See (link removed) xxx')
    assert cells[8].endswith('x…"')
    assert [each.strip() for each in second if each][1] == "Approved"
    assert "\u200b" not in done.stdout


def test_a_list_is_of_one_namespace_or_of_all_and_of_some_states(approvals: Approvals):
    approvals.ask()
    denied = approvals.ask(f"{approvals.name}-2")
    approvals.write(denied, state="Denied", reason="DeniedByPerson", message="denied by bob")

    def names(*words: str) -> list[str]:
        done = approvals.run(ALICE, "requests", "-o", "json", *words)
        assert done.returncode == 0, done.stderr
        return [each["name"] for each in json.loads(done.stdout) if each["name"].startswith(approvals.name)]

    assert names("--state", "denied") == [f"{approvals.name}-2"]
    assert names("-n", ELSEWHERE) == []
    assert approvals.run(ALICE, "requests", "-n", ELSEWHERE).stdout == f"no requests in namespace {ELSEWHERE}\n"
    refused = approvals.run(ALICE, "requests", "-A")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "cannot list resource" in refused.stderr


def test_the_details_have_all_that_an_approver_judges_by(approvals: Approvals):
    before = approvals.ask(f"{approvals.name}-1")
    approvals.approved(before)
    ruled = approvals.ask(f"{approvals.name}-2")
    approvals.approved(ruled, None)
    request = approvals.ask()

    done = approvals.run(ALICE, "requests", approvals.name)

    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == f"AccessRequest {AGENTS}/{approvals.name} is Pending: people decide, 0 of 1 needed approvals"
    for line in (
        f"agent {AGENTS}/finbot",
        "user anna (https://idp.example.org), proven by a token of workforce",
        f"offer {OFFERS}/{approvals.name}: SSNs of open claims in clear",
        "tables claims.people",
        "columns ssn, full_name",
        "ticket FR-12",
        'why the agent says (not verified): "The caller disputes a claim."',
        f"digest {DIGEST}",
        "rows where country IN (user_attr('countries'))",
        "approval one person, who already has this access",
        "people decided the same in the last 30 days: 1 approvals, 0 denials",
        "limit rule small: 1 of 3 a day for a user",
        f"rolevend approve {approvals.name} --namespace {AGENTS} --for 10m",
        f"rolevend deny {approvals.name} --namespace {AGENTS} --because '...'",
    ):
        assert line in lines, done.stdout
    assert "counted in namespace agents alone" in done.stderr
    found = yaml.safe_load(approvals.run(ALICE, "requests", approvals.name, "-o", "yaml").stdout)
    assert (found["uid"], found["precedents"]["approved"]) == (request["metadata"]["uid"], 1)


def test_an_approval_is_an_access_decision_of_the_caller_and_its_result_is_awaited(approvals: Approvals):
    request = approvals.ask()

    def operator() -> None:
        approvals.vote(request)
        approvals.approved(request)

    with answering(operator):
        done = approvals.run(ALICE, "approve", approvals.name, "--yes", "--for", "5m", "--mask", "ssn=Partial(4)", "--because", "once")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"You approve AccessRequest {AGENTS}/{approvals.name}, as {ALICE}:" in done.stdout
    assert "masks       those of the offer, and Partial(4) on ssn" in done.stdout
    assert f"AccessRequest {AGENTS}/{approvals.name} is Approved: approved by {ALICE} for 600 seconds; the agent can use it" in done.stdout
    spec = approvals.vote(request)["spec"]
    assert spec == {
        "requestRef": {"namespace": AGENTS, "name": approvals.name, "uid": request["metadata"]["uid"]},
        "offerRef": {"name": approvals.name},
        "by": ALICE,
        "verdict": "Approve",
        "digest": DIGEST,
        "expirationSeconds": 300,
        "masks": [{"name": "mask-1", "columns": {"matchNames": ["ssn"]}, "type": "Partial", "partial": {"keepLast": 4}}],
        "comment": "once",
    }


def test_a_vote_that_the_operator_does_not_count_fails_with_the_reason(approvals: Approvals):
    request = approvals.ask()

    def operator() -> None:
        approvals.count(approvals.vote(request), counts=False, message=f"{ALICE} is the user")

    with answering(operator):
        done = approvals.run(ALICE, "approve", approvals.name, "--yes")

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == f"your vote does not count: {ALICE} is the user"


def test_a_vote_that_others_must_add_to_is_no_failure_and_no_operator_is_named(approvals: Approvals):
    request = approvals.ask()

    def operator() -> None:
        approvals.count(approvals.vote(request), counts=True, message="")

    with answering(operator):
        counted = approvals.run(ALICE, "approve", approvals.name, "--yes")
    late = approvals.run(BOB, "approve", approvals.name, "--yes", "--wait", "0.5")
    unwatched = approvals.run(BOB, "deny", approvals.name, "--because", "no", "--yes", "--wait", "0")

    assert (counted.returncode, late.returncode) == (0, 0)
    assert "your vote counts; AccessRequest" in counted.stdout
    assert (
        f"is still Pending after 0.5 s: people decide, 0 of 1 needed approvals; follow it: rolevend requests {approvals.name}"
        in late.stdout
    )
    assert unwatched.returncode == 1, "it is a second vote of the same person"


def test_a_second_vote_of_the_same_person_is_a_conflict_that_says_how_to_withdraw_the_first(approvals: Approvals):
    approvals.ask()
    assert approvals.run(BOB, "approve", approvals.name, "--yes", "--wait", "0").returncode == 0

    again = approvals.run(BOB, "deny", approvals.name, "--because", "no", "--yes")

    assert again.returncode == 1
    assert f"you voted on AccessRequest {AGENTS}/{approvals.name} before: Approve at " in again.stderr
    revoke = again.stderr.strip().partition("withdraw that vote first: ")[2].split()
    done = subprocess.run(revoke, env=approvals.people[BOB], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert approvals.run(BOB, "deny", approvals.name, "--because", "no", "--yes", "--wait", "0").returncode == 0


def test_a_denial_has_a_reason_and_no_narrowing(approvals: Approvals):
    request = approvals.ask()

    def operator() -> None:
        approvals.vote(request)
        approvals.write(request, state="Denied", reason="DeniedByPerson", message=f"denied by {ALICE}")

    with answering(operator):
        done = approvals.run(ALICE, "deny", approvals.name, "--because", "Ask for the masked offer.", "--yes")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"AccessRequest {AGENTS}/{approvals.name} is Denied: denied by {ALICE}"
    spec = approvals.vote(request)["spec"]
    assert (spec["verdict"], spec["comment"], spec["digest"]) == ("Deny", "Ask for the masked offer.", DIGEST)


def test_a_person_without_the_right_hears_what_it_takes(approvals: Approvals):
    approvals.ask()

    done = approvals.run(EVE, "approve", approvals.name, "--yes")

    assert done.returncode == 1
    assert f"you may not decide on the offer {OFFERS}/{approvals.name}, which needs the verbs create on accessdecisions" in done.stderr


def test_the_message_of_admission_is_shown_to_a_person_who_may_create_decisions_but_not_on_this_offer(approvals: Approvals):
    approvals.ask()
    rule = {"apiGroups": ["rolevend.dev"], "resources": ["accessdecisions"], "verbs": ["create"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "voter"}, "rules": [rule]}
    approvals.cluster.kubectl("apply", "-f", "-", body=role)
    approvals.cluster.bind(EVE, "voter", OFFERS)

    done = approvals.run(EVE, "approve", approvals.name, "--yes")

    assert done.returncode == 1
    assert f"{EVE} may not decide on AccessPolicy {approvals.name}" in done.stderr


def test_an_approval_that_a_waiting_role_used_at_once_is_told_as_one(approvals: Approvals):
    request = approvals.ask()

    def operator() -> None:
        approvals.vote(request)
        approvals.approved(request, state="Used", message="used 1 of 1 times")

    with answering(operator):
        done = approvals.run(ALICE, "approve", approvals.name, "--yes")

    assert done.returncode == 0
    assert f"AccessRequest {AGENTS}/{approvals.name} is Used, approved by {ALICE} for 600 seconds: used 1 of 1 times" in done.stdout


@pytest.mark.parametrize("state", ["Superseded", "Approved"])
def test_a_request_that_is_not_pending_is_refused_with_its_state(state: str, approvals: Approvals):
    request = approvals.ask()
    if state == "Approved":
        approvals.approved(request)
    else:
        approvals.write(request, state=state, message="because")

    approve = approvals.run(ALICE, "approve", approvals.name, "--yes")
    deny = approvals.run(ALICE, "deny", approvals.name, "--because", "x", "--yes")

    assert (approve.returncode, deny.returncode) == (1, 1)
    assert f"rolevend: AccessRequest {AGENTS}/{approvals.name} is {state}, not Pending: " in approve.stderr
    assert ("delete accessdecisions.rolevend.dev" in deny.stderr) == (state == "Approved")


def test_a_denial_revokes_the_approval_of_a_rule(approvals: Approvals):
    request = approvals.ask()
    approvals.approved(request, None)

    def operator() -> None:
        approvals.vote(request)
        approvals.write(request, state="Revoked", reason="DeniedByPerson", message=f"denied by {ALICE}")

    with answering(operator):
        done = approvals.run(ALICE, "deny", approvals.name, "--because", "no", "--yes")

    assert done.returncode == 0, done.stderr
    assert "is Revoked: denied by" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tables", "claims.peple"), "--tables: claims.peple is not requested; did you mean claims.people?"),
        (("--mask", "sssn=Hash"), "--mask: column sssn is not requested; did you mean ssn?"),
    ],
)
def test_a_narrowing_that_names_something_unknown_is_refused(options: tuple[str, str], message: str, approvals: Approvals):
    approvals.ask()

    done = approvals.run(ALICE, "approve", approvals.name, "--yes", *options)

    assert (done.returncode, done.stderr) == (1, f"rolevend: {message}\n")


def test_a_dry_run_prints_an_object_for_kubectl_that_the_api_server_accepts(approvals: Approvals):
    request = approvals.ask(narrowed=False)

    done = approvals.run(ALICE, "approve", approvals.name, "--for", "20m", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "--for 20m is longer than was requested: it is cut to 10m" in done.stderr
    manifest = yaml.safe_load(done.stdout)
    assert manifest["spec"]["expirationSeconds"] == 600
    assert not approvals.cluster.read(manifest).ok
    assert approvals.cluster.create(manifest, user=ALICE).ok
    assert approvals.vote(request)["spec"]["digest"] == DIGEST


@pytest.mark.long
def test_a_vote_is_confirmed_on_a_terminal_and_refused_without_one(approvals: Approvals):
    request = approvals.ask()
    refused = approvals.run(ALICE, "approve", approvals.name)
    assert refused.returncode == 2
    assert "add --yes" in refused.stderr

    for answer, status in (("n\n", 1), ("y\n", 0)):
        here, there = pty.openpty()
        asked = approvals.start(ALICE, "approve", approvals.name, "--wait", "0", "--no-count", stdin=there)
        os.close(there)
        os.write(here, answer.encode())
        shown, errors = asked.communicate(timeout=PROGRAM)
        os.close(here)
        assert asked.returncode == status, errors
        assert "Approve it? [y/N]" in shown
    assert approvals.vote(request)["spec"]["by"] == ALICE


@pytest.mark.long
def test_a_watch_prints_each_change_and_ends_with_an_interrupt(approvals: Approvals, tmp_path: Path):
    request = approvals.ask()
    for words, first, then in (
        (("requests", "--state", "Pending"), approvals.name, "Approved"),
        (("requests", approvals.name), "Answer:", "is over"),
    ):
        with (tmp_path / "out").open("w") as out:
            watching = approvals.start(ALICE, *words, "--watch", stdout=out)
        eventually(lambda first=first: first in (tmp_path / "out").read_text())
        if then == "Approved":
            approvals.approved(request)
        else:
            approvals.write(request, state="Lapsed", message="its time is over")
        eventually(lambda then=then: then in (tmp_path / "out").read_text())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PROGRAM) == 0
        assert watching.stderr is not None
        assert "Traceback" not in watching.stderr.read()
        watching.stderr.close()
        approvals.write(request, state="Pending", message="people decide", approval=None)


@pytest.mark.long
def test_a_shell_completes_the_names_of_requests_that_can_change(approvals: Approvals):
    approvals.ask()
    approvals.write(approvals.ask(f"{approvals.name}-2"), state="Lapsed", message="not used in time")

    words = {"_ROLEVEND_COMPLETE": "bash_complete", "COMP_WORDS": f"rolevend approve {approvals.name[:9]}", "COMP_CWORD": "2"}
    command = [sys.executable, "-c", "import sys; sys.argv = ['rolevend']; from rolevend.cli import main; main()"]
    done = subprocess.run(command, env=approvals.people[ALICE] | words, capture_output=True, text=True, check=False)

    assert [line for line in done.stdout.splitlines() if approvals.name in line] == [f"plain,{approvals.name}"]


def test_a_request_that_is_not_there_is_one_line(approvals: Approvals):
    done = approvals.run(ALICE, "requests", "nothing")

    assert (done.returncode, done.stderr) == (
        1,
        "rolevend: there is no AccessRequest nothing in namespace agents; name another one with --namespace\n",
    )


def test_the_name_of_a_request_that_is_nearly_there_is_suggested(approvals: Approvals):
    approvals.ask()

    done = approvals.run(ALICE, "requests", f"{approvals.name}s")

    assert done.stderr == f"rolevend: there is no AccessRequest {approvals.name}s in namespace agents; did you mean {approvals.name}?\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("requests", "-A"), "you may not list AccessRequests in all namespaces; name one with --namespace, or ask for the ClusterRole"),
        (("requests", "-n", "kube-system"), "you may not list AccessRequests in namespace kube-system; name another one with --namespace"),
        (("requests", "ask", "-n", "kube-system"), "you may not get AccessRequests in namespace kube-system; name another one"),
        (("requests", "--context", "nowhere"), "is named nowhere; there are eve@example.org"),
    ],
)
def test_without_the_right_or_the_context_the_message_says_what_to_change(words: tuple[str, ...], said: str, approvals: Approvals):
    done = approvals.run(EVE, *words)

    assert done.returncode == 1
    assert said in done.stderr
