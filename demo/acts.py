"""The first half of the story: two people get roles, and the server refuses everything else. Every line is checked before it is printed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg
from psycopg import sql

from demo import agent, sabotage
from demo.agent import Vended, refused_login, said
from demo.checks import ANNA, BOB, CheckFailed, Row, Sight, check, check_rows, waiting_row
from demo.questions import EVERY_CLAIM, EVERYBODY, GUESS, TOTALS, WAITING
from demo.stage import AGENT, AGENTS, DOMAIN, Stage
from demo.telling import Teller
from demo.witness import Witness
from rolevend.naming import parse_role_name
from testbed.kubectl import Refusal

AGENT_USER = f"system:serviceaccount:{AGENTS}:{AGENT}"
Statement = sql.SQL | sql.Composed

_DENIED = "42501"
_UNDEFINED = "42P01"
_NOT_WRITABLE = "55000"


@dataclass(slots=True)
class Scene:
    """The state that the acts share."""

    stage: Stage
    tell: Teller
    witness: Witness
    broken: sabotage.Sabotage | None
    times: dict[str, float] = field(default_factory=dict)
    """Measured durations in seconds, for the summary."""

    def breaks(self, wanted: sabotage.Sabotage) -> bool:
        return self.broken == wanted

    def broke(self, what: str) -> None:
        self.tell.say(f"(on purpose, behind rolevend's back: {what})")


def ask_for_two(scene: Scene) -> tuple[Vended, Vended]:
    """Request and check Anna's and Bob's roles."""
    stage, tell, witness = scene.stage, scene.tell, scene.witness
    tell.act(1, f"The agent {AGENT} asks the same question for two people who have no account on the database")
    witness.holds(stage.seed)
    tell.command(f"kubectl apply -f {agent.REQUESTS}", AGENT_USER)
    tell.command(f"kubectl wait --for=condition=Ready vendedrole/{ANNA.name} vendedrole/{BOB.name}")
    (anna, bob), took = agent.ask(stage.agent, [ANNA.name, BOB.name])
    scene.times["from kubectl apply until two roles are Ready"] = took
    served = ((anna, ANNA), (bob, BOB))
    for vended, sight in served:
        _check_role(scene, vended, sight)
    tell.seen(f"after {took:.1f} s two roles are in PostgreSQL, until {anna.expires_at:%H:%M:%S} UTC; all they can do is read")
    tell.table(("for", "who is", "role"), [(sight.first_name, sight.job, vended.role) for vended, sight in served])
    name = parse_role_name(anna.role)
    tell.table(
        ("part of Anna's", "is"),
        [
            (name.agent, f"the handle of Agent {AGENTS}/{AGENT}"),
            (name.user, f"the handle of UserAttributes {ANNA.subject}: a person of the identity provider"),
            (anna.role.rpartition("_")[2], f"the uid of VendedRole {AGENTS}/{anna.name}: {anna.uid}"),
        ],
    )
    if scene.breaks("row-security"):
        scene.broke(sabotage.switch_row_security_off(stage.superuser))
    if scene.breaks("mask"):
        (profile,) = witness.member_of(anna.role)
        scene.broke(sabotage.unmask(stage.superuser, profile))
    tell.say("The agent logs in with the uri in each Secret, and asks:")
    with anna.connect() as annas, bob.connect() as bobs:
        _compare_totals(scene, annas, bobs)
        _compare_masks(scene, annas, bobs)
    return anna, bob


def _check_role(scene: Scene, vended: Vended, sight: Sight) -> None:
    witness, who = scene.witness, f"the role for {sight.subject}"
    body = scene.stage.admin.get("vendedrole", vended.name, "--namespace", AGENTS)
    parts = parse_role_name(vended.role)
    check(f"{who} has the name that the VendedRole says", expected=body["status"]["roleName"], seen=vended.role)
    check(
        f"the name of {who} says which agent, which user, which request",
        expected=("FINBOT", sight.handle, body["metadata"]["uid"]),
        seen=(parts.agent, parts.user, parts.uid),
    )
    check(f"{who} exists", expected=True, seen=witness.exists(vended.role))
    check(f"{who} has no power beyond logging in", expected=[], seen=witness.powers(vended.role))
    check(f"{who} has one profile", expected=1, seen=len(witness.member_of(vended.role)))
    check(f"{who} is valid until the VendedRole expires", expected=vended.expires_at, seen=witness.valid_until(vended.role))


def _compare_totals(scene: Scene, annas: psycopg.Connection, bobs: psycopg.Connection) -> None:
    seed, tell = scene.stage.seed, scene.tell
    tell.sql(TOTALS)
    told: list[Row] = []
    counts = []
    for connection, sight in ((annas, ANNA), (bobs, BOB)):
        seen = agent.rows(connection, TOTALS)
        countries = frozenset(str(row[0]) for row in seen)
        check(f"row security: the countries in the answer for {sight.first_name}", expected=sight.countries, seen=countries)
        check_rows(f"row security: the answer for {sight.first_name}", expected=sight.totals(seed), seen=seen)
        claims = sight.claims(seed)
        check_rows(f"row security: all claims of {sight.first_name}'s role", expected=claims, seen=agent.rows(connection, EVERY_CLAIM))
        counts.append(len(claims))
        told += [(sight.first_name, *row) for row in seen]
    tell.table(("for", "country", "status", "claims", "people", "amount"), told)
    tell.seen(
        f"of {len(seed.claims):,} claims Anna's role reads {counts[0]:,} and Bob's {counts[1]:,}, none of them the same: "
        "row for row what the policies say of the seeded data"
    )
    tell.say()


def _compare_masks(scene: Scene, annas: psycopg.Connection, bobs: psycopg.Connection) -> None:
    seed, tell, salt = scene.stage.seed, scene.tell, scene.witness.salt()
    tell.sql(WAITING)
    told: list[Row] = []
    counts = []
    for connection, sight in ((annas, ANNA), (bobs, BOB)):
        people = sight.people(seed, salt)
        check_rows(f"mask: all people of {sight.first_name}'s role", expected=people, seen=agent.rows(connection, EVERYBODY))
        counts.append(len(people))
        seen = agent.rows(connection, WAITING)
        check_rows(f"mask: the answer for {sight.first_name}", expected=sight.waiting(seed, salt), seen=seen)
        for row in seen:
            claim = seed.claim(int(str(row[0])))
            told += [(sight.first_name, *_short(row)), ("", *_short(waiting_row(claim, seed.person(claim.person_id))))]
    columns = ("for", "claim", "country", "amount", "full_name", "ssn", "birth_date", "note")
    tell.table(columns, told, faint=range(1, len(told), 2))
    tell.say("(below each row: what the database holds, and no vended role can read)")
    tell.seen(f"all {counts[0]:,} people of Anna's role and all {counts[1]:,} of Bob's are masked like this")


def try_to_leave(scene: Scene, anna: Vended, bob: Vended) -> None:
    """Check that the server refuses every attempt with Anna's role, and that nothing changed afterwards."""
    tell, witness = scene.tell, scene.witness
    tell.act(2, "The agent tries to get out of Anna's role")
    profile, other = witness.member_of(anna.role), witness.member_of(bob.role)
    told: list[Row] = []
    with anna.connect() as connection:
        for attempt, statements, state in _attempts(anna, bob, other[0]):
            told.append((attempt, _refusal(connection, attempt, statements, state)))
        elsewhere = agent.rows(connection, "SELECT count(*) FROM claims WHERE country = 'US'")
    check("Anna's role finds no claim of Bob's country", expected=[(0,)], seen=elsewhere)
    told.append(("SELECT count(*) FROM claims WHERE country = 'US'", f"0 (there are {len(BOB.claims(scene.stage.seed)):,})"))
    told.append(("log in to another database of the server", refused_login(anna, "postgres")))
    tell.table(("tries", "PostgreSQL answers"), told)
    _guess(scene, anna)
    tell.table(("tries", "Kubernetes answers"), list(_at_kubernetes(scene, anna)))
    check("the role has no more power than before", expected=[], seen=witness.powers(anna.role))
    check("the role has the profile that it had", expected=profile, seen=witness.member_of(anna.role))
    check("the role is valid until when it was", expected=anna.expires_at, seen=witness.valid_until(anna.role))
    witness.holds(scene.stage.seed)
    tell.seen("afterwards the role has the rights and the expiry that it had, and the tables hold what they held")


def _guess(scene: Scene, anna: Vended) -> None:
    """Search for the person of a hidden claim, by errors that a comparison with the hidden row would cause."""
    tell, seed = scene.tell, scene.stage.seed
    if scene.breaks("fence"):
        scene.broke(sabotage.open_the_fence(scene.stage.superuser))
    claim = BOB.claims(seed)[0]
    tell.say(f"Then it guesses who filed claim {claim.claim_id}, which Anna may not see. An error would say: this guess, or a smaller one.")
    tell.sql(sql.SQL(GUESS).format(claim=claim.claim_id, guess=claim.person_id).as_string())
    low, high, tries = 0, max(person.person_id for person in seed.people), 0
    with anna.connect() as connection:
        while low < high:
            guess, tries = (low + high) // 2, tries + 1
            low, high = (low, guess) if _errs(connection, claim.claim_id, guess) else (guess + 1, high)
        found = low if _errs(connection, claim.claim_id, claim.person_id) else "nothing"
    check(f"what the agent finds out of the person of claim {claim.claim_id}", expected="nothing", seen=found)
    tell.seen(f"{tries + 1} guesses, the right one among them, all have the same answer, no rows: nothing is compared with a hidden row")


def _errs(connection: psycopg.Connection, claim: int, guess: int) -> bool:
    try:
        seen = connection.execute(sql.SQL(GUESS).format(claim=claim, guess=guess)).fetchall()
    except psycopg.errors.DivisionByZero:
        return True
    check("a guess shows no row", expected=[], seen=seen)
    return False


def _attempts(anna: Vended, bob: Vended, profile: str) -> Iterator[tuple[str, Sequence[Statement], str]]:
    """Yield (title, statements, SQLSTATE of the refusal)."""

    def plain(text: LiteralString, state: str = _DENIED) -> tuple[str, Sequence[Statement], str]:
        return text, [sql.SQL(part) for part in text.split("; ")], state

    bobs_role, bobs_profile, own = sql.Identifier(bob.role), sql.Identifier(profile, "claims"), sql.Identifier(anna.role)
    yield plain("RESET ROLE; SELECT * FROM claims.people")
    yield "SET ROLE <Bob's role>", [sql.SQL("SET ROLE {}").format(bobs_role)], _DENIED
    yield "SELECT * FROM <Bob's profile>.claims", [sql.SQL("SELECT * FROM {}").format(bobs_profile)], _DENIED
    yield plain("SET SESSION AUTHORIZATION postgres")
    yield plain("SET row_security = off; SELECT * FROM claims")
    yield plain("SELECT * FROM payments", _UNDEFINED)
    yield plain("SELECT * FROM claims.payments")
    yield plain("UPDATE claims SET status = 'paid'", _NOT_WRITABLE)
    yield plain("SELECT salt FROM rolevend.salt")
    yield "ALTER ROLE <own role> VALID UNTIL 'infinity'", [sql.SQL("ALTER ROLE {} VALID UNTIL 'infinity'").format(own)], _DENIED
    yield plain("COPY (SELECT 1) TO PROGRAM 'id'")
    yield plain("CREATE TEMPORARY TABLE kept AS SELECT * FROM claims")


def _refusal(connection: psycopg.Connection, attempt: str, statements: Sequence[Statement], state: str) -> str:
    """Return the server's message. Raises `CheckFailed` if the attempt succeeds or fails for another reason."""
    try:
        for statement in statements:
            answer: object = connection.execute(statement).statusmessage
    except psycopg.Error as error:
        check(f"{attempt} is refused as it should be (SQLSTATE)", expected=state, seen=error.sqlstate)
        return said(error)
    finally:
        connection.execute("RESET row_security")
    raise CheckFailed(f"the agent tries: {attempt}", "a refusal", str(answer))


def _at_kubernetes(scene: Scene, anna: Vended) -> Iterator[tuple[str, str]]:
    longer = '{"spec": {"expirationSeconds": 86400}}'
    attempts = {
        "read the operator's login": ("get", "secret", "warehouse-vendor", "--namespace", "rolevend-system"),
        "make the role live longer": ("patch", "vendedrole", anna.name, "--namespace", AGENTS, "--type=merge", f"--patch={longer}"),
        "take the masks away": ("delete", "accesspolicy", "analysts", "--namespace", DOMAIN),
    }
    for attempt, arguments in attempts.items():
        answer = scene.stage.agent.attempt(*arguments)
        if not isinstance(answer, Refusal) or "forbidden" not in answer.message:
            raise CheckFailed(f"the agent tries to {attempt}", "Forbidden", str(answer))
        yield attempt, answer.message.removeprefix("Error from server (Forbidden): ").replace(AGENT_USER, "…")


def _short(row: Row) -> Row:
    """Shorten a row for a table: ids as text, and digests to their prefix."""
    claim_id, country, amount, full_name, ssn, *rest = row
    digest = f"{ssn[:11]}…" if isinstance(ssn, str) and len(ssn) > 12 else ssn
    return (str(claim_id), country, amount, full_name, digest, *rest)
