"""The middle of the story: two policies and a guardrail apply to one table. Each cell is checked, and rolevend explains it."""

import subprocess
import sys

import psycopg
import yaml

from demo import agent, sabotage
from demo.acts import AGENT_USER, Scene
from demo.agent import Vended, said
from demo.checks import GRANTED_BY, CheckFailed, Row, check, check_rows, reviewed
from demo.questions import EVERY_CLAIM, EVERYBODY, ONE_OF_EACH
from demo.stage import AGENTS, EXAMPLE
from testbed.installation import checkout

_REQUEST = EXAMPLE / "fraud-review" / "vended-role.yaml"
_CAPTION = ("row of", "granted by", "full_name", "ssn", "birth_date")
_EXPLAINED = (
    "AccessPolicy domain-claims/analysts covers the user",
    "AccessPolicy domain-claims/fraud-review covers the user",
    "claims.people.ssn: at least Hash",
    "Together on claims.people",
    "ssn: Hash",
)
"""Required lines of the explanation."""


def meet(scene: Scene) -> None:
    """Show one table, one role, four kinds of rows."""
    stage, tell = scene.stage, scene.tell
    tell.act(3, "Two policies and a guardrail meet on one table, where Anna's agent asks with a purpose")
    if scene.breaks("guardrail"):
        scene.broke(sabotage.remove_guardrail(stage.admin))
    request = yaml.safe_load((checkout() / _REQUEST).read_text())
    name = request["metadata"]["name"]
    tell.command(f"kubectl apply -f {_REQUEST}", AGENT_USER)
    (review,), _ = agent.ask(stage.agent, [name], request)
    with review.connect() as connection:
        _compare_cells(scene, connection)
        _try_another_table(scene, connection)
    _explain(scene, review)
    stage.agent("delete", "vendedrole", name)


def _compare_cells(scene: Scene, connection: psycopg.Connection) -> None:
    seed, tell = scene.stage.seed, scene.tell
    expected = reviewed(seed, scene.witness.salt())
    seen = agent.rows(connection, EVERYBODY)
    hashed = [person.ssn for person in expected]
    check_rows("guardrail: no ssn is clearer than its hash", expected=[(ssn,) for ssn in hashed], seen=[(row[2],) for row in seen])
    check_rows("cells: all people of the role for the review", expected=expected, seen=seen)
    tell.sql(ONE_OF_EACH)
    told: list[Row] = []
    for person_id, full_name, ssn, birth_date, country in agent.rows(connection, ONE_OF_EACH):
        person = seed.person(int(str(person_id)))
        told.append((country, GRANTED_BY[str(country)], full_name, f"{str(ssn)[:11]}…", birth_date))
        told.append(("", "", person.full_name, person.ssn, person.birth_date))
    tell.table(_CAPTION, told, faint=range(1, len(told), 2))
    tell.seen(f"all {len(seen):,} rows are so: each cell as the clearest policy of its row says, and no ssn clearer than the guardrail")


def _try_another_table(scene: Scene, connection: psycopg.Connection) -> None:
    try:
        answer = connection.execute(EVERY_CLAIM).fetchall()
    except psycopg.errors.InsufficientPrivilege as error:
        scene.tell.answered("SELECT … FROM claims, which policies grant and this request did not ask for:", said(error))
        return
    raise CheckFailed("the role reads no table that was not asked for", "a refusal", f"{len(answer)} rows")


def _explain(scene: Scene, review: Vended) -> None:
    stage, tell = scene.stage, scene.tell
    tell.say("Why each cell is so:")
    tell.command(f"rolevend explain {review.name} --namespace {AGENTS}")
    told = _rolevend("explain", review.name, "--namespace", AGENTS, "--kubeconfig", str(stage.admin.kubeconfig))
    for line in _EXPLAINED:
        check(f"rolevend explain says: {line}", expected=True, seen=line in [each.strip() for each in told.splitlines()])
    tell.say(told)


def _rolevend(*words: str) -> str:
    answer = subprocess.run([sys.executable, "-m", "rolevend", *words], capture_output=True, text=True, check=False)  # noqa: S603 - a list
    check(f"rolevend {words[0]} succeeds", expected="", seen=answer.stderr if answer.returncode else "")
    return answer.stdout
