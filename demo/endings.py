"""The second half of the story: every way in which a role ends, and the record of its user afterwards."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg

from demo import agent, sabotage
from demo.acts import AGENT_USER, Scene
from demo.agent import LongQuery, Vended, refused_login, said
from demo.checks import ANNA, CheckFailed, check, check_soon
from demo.questions import LONG, TOTALS
from demo.stage import AGAIN, AGENT, AGENTS, DOMAIN
from testbed.brief import in_time
from testbed.kubectl import Refusal

_LIFE_SECONDS = 8
"""The lifetime of the role that expires during a query; longer on a retry."""
_GRACE_SECONDS = 5.0
"""The tolerated delay of an end, about a hundred times the usual one."""


def let_time_pass(scene: Scene) -> None:
    """Let a role expire during a query."""
    stage, tell = scene.stage, scene.tell
    tell.act(4, "The time to live passes in the middle of a query")
    vended, connection, query, life = in_time(lambda seconds: _at_work(scene, seconds), _LIFE_SECONDS)
    tell.seen(f"{vended.role} has {life} s to live, until {vended.expires_at:%H:%M:%S} UTC, and is busy with:")
    tell.sql(LONG)
    if scene.breaks("expiry"):
        scene.broke(sabotage.postpone(stage.superuser, stage.operator, vended.role, vended.expires_at))
    check_soon(
        "expiry: the query ends with the role's time to live",
        f"an end at {vended.expires_at:%H:%M:%S}, or at most {_GRACE_SECONDS:g} s later",
        lambda: query.ended_at is not None,
        lambda: f"it still runs at {datetime.now(UTC):%H:%M:%S}",
        within=_left(vended) + _GRACE_SECONDS,
    )
    ended_at, outcome = query.ended_at or datetime.now(UTC), query.outcome or ""
    if ended_at < vended.expires_at:
        raise CheckFailed(
            "expiry: the query ends not before its time", f"{vended.expires_at:%H:%M:%S.%f}", f"{ended_at:%H:%M:%S.%f}: {outcome}"
        )
    late = (ended_at - vended.expires_at).total_seconds()
    scene.times["from the end of a time to live until its query has ended"] = late
    connection.close()
    tell.answered(f"{late * 1000:.0f} ms after the end of the role's time the query has ended:", outcome)
    check_gone(scene, vended, "Expired")


def release(scene: Scene, anna: Vended) -> None:
    """Release a role."""
    tell = scene.tell
    tell.act(5, "The agent is done with Anna's question, long before the time is over")
    with anna.connect() as idle:
        agent.rows(idle, TOTALS)
        check("Anna's role has a session", expected=1, seen=scene.witness.sessions(anna.role))
        tell.command(f"kubectl delete vendedrole {anna.name}", AGENT_USER)
        scene.times["from kubectl delete until it returns, the role gone"] = _timed(
            lambda: scene.stage.agent("delete", "vendedrole", anna.name)
        )
        check("kubectl delete returns when the role is gone", expected=False, seen=scene.witness.exists(anna.role))
        tell.answered("asked once more, its open session says:", _last_words(idle))
    check_gone(scene, anna, "Released")


def change_policy(scene: Scene, bob: Vended) -> None:
    """Narrow a policy, which revokes a live role with more."""
    tell, witness = scene.tell, scene.witness
    tell.act(6, "The owner of the data narrows a policy, while Bob's role is in use")
    change = [{"op": "replace", "path": "/spec/masks/0/dateTrunc/unit", "value": "Year"}]
    with bob.connect() as idle:
        agent.rows(idle, TOTALS)
        patch = ("patch", "accesspolicy", "actuaries-us", "--namespace", DOMAIN, "--type=json", f"--patch={json.dumps(change)}")
        tell.command("kubectl patch accesspolicy actuaries-us …", "the data's owner: births by the year, no longer by the month")
        start = time.monotonic()
        scene.stage.admin(*patch)
        check_soon(
            "a role that reads more than the new policy grants is revoked",
            f"it is gone within {_GRACE_SECONDS:g} s",
            lambda: not witness.exists(bob.role),
            lambda: "it is still there",
            within=_GRACE_SECONDS,
        )
        scene.times["from kubectl patch until the role is revoked and gone"] = time.monotonic() - start
        tell.answered("asked once more, Bob's open session says:", _last_words(idle))
    check_gone(scene, bob, "Revoked")


def ask_who(scene: Scene, anna: Vended) -> None:
    """Find the user from the role's name in the database's log."""
    tell = scene.tell
    tell.act(7, "Somebody reads the database's log, and asks who that was")
    logged = scene.witness.logged(TOTALS)
    check("the server's log names the role that asked first", expected=anna.role, seen=next(iter(logged), None))
    tell.say(f"… {anna.role} LOG:  statement: {TOTALS.splitlines()[0][:40]}…")
    command = [sys.executable, "-m", "rolevend", "who", anna.role, "--kubeconfig", str(scene.stage.admin.kubeconfig)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a list, no shell
    check("rolevend who succeeds", expected=(0, ""), seen=(answer.returncode, answer.stderr))
    for fact in (f"{AGENTS}/{AGENT}", f"{ANNA.subject} (https://idp.example.org)", anna.uid, "gone"):
        check(f"rolevend who says {fact}", expected=True, seen=fact in answer.stdout)
    tell.command(f"rolevend who {anna.role}")
    tell.say(answer.stdout)


def _at_work(scene: Scene, seconds: int) -> tuple[Vended, psycopg.Connection, LongQuery, int]:
    """Return a role that expires after `seconds`, and its running query; clean up on failure."""
    if seconds > _LIFE_SECONDS:
        scene.tell.say("Its time was over before its query ran. Once more, with twice the time:")
    with ExitStack() as otherwise:
        otherwise.callback(scene.stage.agent, "delete", "vendedrole", AGAIN, "--ignore-not-found")
        vended = ask_again(scene, seconds)
        connection = vended.connect()
        otherwise.callback(connection.close)
        query = LongQuery(connection, LONG)
        query.start()
        check_soon(
            "the long query runs",
            "it is active before the role's time is over",
            lambda: scene.witness.runs(vended.role, LONG),
            lambda: str(query.outcome),
            within=_left(vended),
        )
        otherwise.pop_all()
    return vended, connection, query, seconds


def _left(vended: Vended) -> float:
    """Return the remaining seconds until it expires."""
    return max(0.0, (vended.expires_at - datetime.now(UTC)).total_seconds())


def ask_again(scene: Scene, seconds: int) -> Vended:
    """Return one more role for Anna."""
    request = next(each for each in agent.requests() if each["metadata"]["name"] == ANNA.name)
    request["metadata"]["name"] = AGAIN
    request["spec"]["expirationSeconds"] = seconds
    scene.tell.command("kubectl apply -f -", f"{AGENT_USER}: {AGAIN}, with expirationSeconds: {seconds}")
    (vended,), took = agent.ask(scene.stage.agent, [AGAIN], request)
    scene.times["from kubectl apply until one role is Ready"] = took
    return vended


def check_gone(scene: Scene, vended: Vended, reason: str) -> None:
    """Check that role, sessions and object are gone, and that the database has the reason."""
    witness, kubectl = scene.witness, scene.stage.admin
    what = f"the role that was {reason.lower()}"
    check_soon(
        f"{what} is dropped",
        f"it is gone from pg_roles within {_GRACE_SECONDS:g} s",
        lambda: not witness.exists(vended.role),
        lambda: "it is there",
        within=_GRACE_SECONDS,
    )
    check(f"{what} has no session", expected=0, seen=witness.sessions(vended.role))
    login = refused_login(vended)

    def object_gone() -> bool:
        answer = kubectl.attempt("get", "vendedrole", vended.name, "--namespace", AGENTS)
        return isinstance(answer, Refusal) and "NotFound" in answer.message

    check_soon(
        f"the VendedRole of {what} is deleted",
        f"NotFound within {_GRACE_SECONDS:g} s",
        object_gone,
        lambda: "it is there",
        within=_GRACE_SECONDS,
    )
    check(f"the tombstone of {what} says why", expected=reason, seen=witness.ended(vended.role))
    scene.tell.answered("a new login with the same Secret:", login)
    scene.tell.seen(f"the role is gone from pg_roles, with its sessions; the VendedRole is gone; the lease says {reason}")


def _last_words(connection: psycopg.Connection) -> str:
    try:
        answer = connection.execute(TOTALS).fetchall()
    except psycopg.Error as error:
        return said(error)
    raise CheckFailed("a session of a role that ended is asked once more", "an error", f"{len(answer)} rows")


def _timed(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start
