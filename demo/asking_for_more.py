"""The last act: the agent asks for an offer, a rule approves once, a person approves the next request, and takes that back."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from demo import agent, sabotage
from demo.acts import AGENT_USER, Scene
from demo.agent import LongQuery, Vended, said
from demo.checks import ANNA, CheckFailed, Row, check, check_rows, check_soon, in_clear
from demo.endings import ask_again, check_gone
from demo.questions import EVERYBODY, LONG_OF_PEOPLE
from demo.stage import AGENTS, DOMAIN, OWNER
from testbed.installation import checkout
from testbed.kubectl import Refusal

EXAMPLE = Path("examples") / "06-ask-for-more"
OFFER = "people-in-clear"

_SMALL, _LARGE = "small-case", "large-case"
_WITHIN = 10.0
_ENDS_WITHIN = 5.0
"""The tolerated delay of a revocation, several times the usual one."""
_LIFE_SECONDS = 600


def ask_for_more(scene: Scene) -> None:
    """Ask for an offer twice, use both approvals, and see one revoked in the middle of a query."""
    stage, tell = scene.stage, scene.tell
    tell.act(10, "In a case of fraud Anna's agent needs names and births in clear: it asks for an offer of the data's owner")
    tell.command(
        f"kubectl apply -f {EXAMPLE / 'manifests'}", "the data's owner: a policy with onRequest, which grants nothing before an approval"
    )
    stage.admin("apply", "--filename", str(checkout() / EXAMPLE / "manifests"))
    stage.admin("wait", "--for=condition=Ready", f"accesspolicy/{OFFER}", "--namespace", DOMAIN)
    told = [_standing(scene), _approved_by_rule(scene)]
    _let_people_decide(scene)
    approved, shown, decision = _approved_by_owner(scene)
    _compare(scene, [*told, shown])
    _revoke(scene, approved, decision)


def _standing(scene: Scene) -> Row:
    vended = ask_again(scene, _LIFE_SECONDS)
    row = _first_person(scene, vended, "without an approval")
    scene.tell.answered("its role for Anna shows ids hashed and names masked, and no payments:", str(row[-1]))
    scene.stage.agent("delete", "vendedrole", vended.name)
    return row


def _approved_by_rule(scene: Scene) -> Row:
    tell = scene.tell
    tell.say("It asks for the names of one table, for five minutes:")
    status = _request(scene, _SMALL, "Approved")
    check("the rule of the offer approves", expected="once-a-day", seen=status["approval"].get("rule"))
    tell.answered("the operator answers:", status["message"])
    tell.command(f"kubectl apply -f {_role_file(_SMALL)}", AGENT_USER)
    vended = _vend(scene, _SMALL)
    row = _first_person(scene, vended, "approved by a rule", "full_name")
    scene.stage.agent("delete", "vendedrole", vended.name)
    return row


def _let_people_decide(scene: Scene) -> None:
    """Ask beyond the limit of the rule, and try to do without the person who decides."""
    stage, tell = scene.stage, scene.tell
    tell.say("That was the one of this day. It asks for more, for fifteen minutes:")
    status = _request(scene, _LARGE, "Pending")
    check("the message names the limit", expected=True, seen="its limit of 1 a day for a user is used up" in status["message"])
    tell.answered("the operator answers:", status["message"])
    tell.command(f"kubectl apply -f {_role_file(_LARGE)}", AGENT_USER)
    stage.agent("apply", "--filename", str(checkout() / _role_file(_LARGE)))
    decision = stage.scratch / "decision.json"
    decision.write_text(json.dumps(_decision(scene)))
    vote = ("create", "--filename", str(decision))
    told = [
        ("use the approval that is not there yet", _not_approved(scene)),
        ("approve it itself", _forbidden("approve it itself", stage.agent.attempt(*vote))),
        ("approve it with Anna's account", _forbidden("approve it as Anna", stage.admin.attempt(*vote, "--as", ANNA.subject))),
        ("vote in the owner's name, even as administrator", _forbidden("vote for the owner", stage.admin.attempt(*vote))),
    ]
    tell.table(("somebody tries to", "answer"), told)


def _approved_by_owner(scene: Scene) -> tuple[Vended, Row, str]:
    tell = scene.tell
    start = time.monotonic()
    decision = approve(scene)
    tell.command(f"kubectl wait --for=condition=Ready vendedrole/{_LARGE}", AGENT_USER)
    vended = _vend(scene, _LARGE)
    scene.times["from the owner's command until the role is Ready"] = time.monotonic() - start
    row = _first_person(scene, vended, f"approved by {OWNER}", "full_name", "birth_date")
    left = (vended.expires_at - datetime.now(UTC)).total_seconds()
    check("the role lives as long as the owner approved, and not as requested", expected=True, seen=0 < left <= _LIFE_SECONDS)
    tell.seen(f"the role that waited is vended as {vended.role}, until {vended.expires_at:%H:%M:%S} UTC: ten minutes, not fifteen")
    return vended, row, decision


def approve(scene: Scene) -> str:
    """Approve the larger request as the owner, for ten minutes and one of its two tables. Return the name of the AccessDecision."""
    words = ["approve", _LARGE, "--namespace", AGENTS, "--for", "10m", "--tables", "claims.people", "--yes"]
    scene.tell.command(f"rolevend {' '.join(words)}", OWNER)
    kubeconfig = scene.stage.cluster.person_kubeconfig(OWNER, scene.stage.scratch, namespace=AGENTS)
    told = subprocess.run(  # noqa: S603 - a list
        [sys.executable, "-m", "rolevend", *words, "--kubeconfig", str(kubeconfig)], capture_output=True, text=True, check=False
    )
    check("rolevend approve succeeds", expected="", seen=told.stderr if told.returncode else "")
    counted, created, result = _shortened(told.stdout)
    rows = sum(person.country in ANNA.countries for person in scene.stage.seed.people)
    expected = [
        f"claims.people: {rows:,} rows today, {rows:,} rows with this",
        "full_name",
        f"today     Partial(2) in all {rows:,} rows",
        f"with this in clear in all {rows:,} rows",
        "birth_date",
        f"today     DateTrunc(Year) in all {rows:,} rows",
        f"with this in clear in all {rows:,} rows",
    ]
    check("rolevend approve counts the rows and cells as the database has them", expected=expected, seen=list(map(str.strip, counted[1:])))
    scene.tell.say("\n".join([*counted, "", created.partition(";")[0], result]))
    return created.partition(f"{DOMAIN}/")[2].partition(";")[0]


def _shortened(told: str) -> tuple[list[str], str, str]:
    """Return the lines with numbers, that about the AccessDecision, and the result."""
    lines = told.rstrip().splitlines()
    start = next((place for place, line in enumerate(lines) if line.startswith("Today, and")), None)
    if start is None:
        raise CheckFailed("rolevend approve counts rows", "Today, and with this approval …", told)
    return lines[start : lines.index("", start)], lines[-2], lines[-1]


def _decision(scene: Scene) -> dict[str, Any]:
    request = scene.stage.admin.get("accessrequest", _LARGE, "--namespace", AGENTS, "--as", OWNER)
    return {
        "apiVersion": "rolevend.dev/v1alpha1",
        "kind": "AccessDecision",
        "metadata": {"name": _LARGE, "namespace": DOMAIN},
        "spec": {
            "requestRef": {"namespace": AGENTS, "name": _LARGE, "uid": request["metadata"]["uid"]},
            "offerRef": {"name": OFFER},
            "by": OWNER,
            "verdict": "Approve",
            "digest": request["status"]["offer"]["digest"],
            "expirationSeconds": _LIFE_SECONDS,
            "tables": [{"schema": "claims", "table": "people"}],
        },
    }


def _compare(scene: Scene, told: list[Row]) -> None:
    tell = scene.tell
    first = scene.stage.seed.person(int(str(told[0][1])))
    original = ("(the database holds)", *_short(first), "")
    tell.table(("Anna's role", "person_id", "full_name", "ssn", "birth_date", "country", "payments"), [*told, original], faint=[len(told)])
    tell.seen("all people of each role are so; the guardrail on ids wins over an approval, too")


def _revoke(scene: Scene, approved: Vended, decision: str) -> None:
    """Delete the yes while the role runs a query."""
    stage, tell = scene.stage, scene.tell
    connection = approved.connect()
    query = LongQuery(connection, LONG_OF_PEOPLE)
    query.start()
    check_soon(
        "the long query runs",
        "it is active",
        lambda: scene.witness.runs(approved.role, LONG_OF_PEOPLE),
        lambda: str(query.outcome),
        within=_WITHIN,
    )
    tell.say("The role is busy with:")
    tell.sql(LONG_OF_PEOPLE)
    if scene.breaks("approval"):
        scene.broke(sabotage.freeze(stage.operator))
    tell.command(f"kubectl delete accessdecision {decision}", OWNER)
    start = datetime.now(UTC)
    stage.admin("delete", "accessdecision", decision, "--namespace", DOMAIN, "--as", OWNER)
    check_soon(
        "approval: the query ends when the yes is deleted",
        f"an end within {_ENDS_WITHIN:g} s",
        lambda: query.ended_at is not None,
        lambda: "it still runs",
        within=_ENDS_WITHIN,
    )
    connection.close()
    took = ((query.ended_at or start) - start).total_seconds()
    scene.times["from kubectl delete of the yes until its query has ended"] = took
    tell.answered(f"{took * 1000:.0f} ms after the yes was deleted the query has ended:", query.outcome or "")
    check_gone(scene, approved, "Revoked")
    tell.answered("the request says:", _status_with(scene, _LARGE, "Revoked")["message"])


def _request(scene: Scene, name: str, state: str) -> dict[str, Any]:
    """Create the AccessRequest as the agent, and return its status as soon as it has this state."""
    file = EXAMPLE / f"{name.replace('case', 'request')}.yaml"
    scene.tell.command(f"kubectl create -f {file}", AGENT_USER)
    scene.stage.agent("create", "--filename", str(checkout() / file))
    return _status_with(scene, name, state)


def _status_with(scene: Scene, name: str, state: str) -> dict[str, Any]:
    status: dict[str, Any] = {}

    def reached() -> bool:
        status.update(scene.stage.agent.get("accessrequest", name, "--namespace", AGENTS).get("status", {}))
        return status.get("state") == state

    check_soon(f"AccessRequest {name} is {state}", f"within {_WITHIN:g} s", reached, lambda: json.dumps(status), within=_WITHIN)
    return status


def _vend(scene: Scene, name: str) -> Vended:
    """Return the role that uses the approval of the same name."""
    (vended,), _ = agent.ask(scene.stage.agent, [name], _role_file(name))
    return vended


def _role_file(name: str) -> Path:
    return EXAMPLE / f"{name.replace('case', 'role')}.yaml"


def _first_person(scene: Scene, vended: Vended, title: str, *shown: str) -> Row:
    """Check each row of people and that there are no payments; return the first row for the table."""
    expected = in_clear(scene.stage.seed, scene.witness.salt(), *shown)
    with vended.connect() as connection:
        check_rows(f"all people of the role that is {title}", expected=expected, seen=agent.rows(connection, EVERYBODY))
        return (title, *_short(expected[0]), _payments(connection))


def _payments(connection: psycopg.Connection) -> str:
    try:
        answer = connection.execute("SELECT * FROM payments").fetchall()
    except psycopg.errors.UndefinedTable as error:
        return said(error)
    raise CheckFailed("the role reads no payments, which nobody approved", "a refusal", f"{len(answer)} rows")


def _short(row: Row) -> Row:
    """Shorten a row of people for a table: the id as text, a digest to its prefix."""
    person_id, full_name, ssn, *rest = row
    return (str(person_id), full_name, f"{str(ssn)[:11]}…" if len(str(ssn)) > 12 else ssn, *rest)


def _not_approved(scene: Scene) -> str:
    found: dict[str, str] = {}

    def refused() -> bool:
        status = scene.stage.agent.get("vendedrole", _LARGE, "--namespace", AGENTS).get("status", {})
        found.update(next((each for each in status.get("conditions", []) if each["type"] == "Ready"), {}))
        return found.get("reason") == "NotApproved"

    check_soon("a role with a request that is not approved", "NotApproved", refused, lambda: json.dumps(found), within=_WITHIN)
    return found["message"]


def _forbidden(attempt: str, answer: str | Refusal) -> str:
    if not isinstance(answer, Refusal) or "forbidden" not in answer.message:
        raise CheckFailed(f"somebody tries to {attempt}", "Forbidden", str(answer))
    return answer.message.partition("denied request: ")[2] or answer.message.partition("is forbidden: ")[2].replace(AGENT_USER, "…")
