"""The end of the story: the same policies on a second platform. One agent, one role name, the same rows and masks of one person on both."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from snowflake.connector import SnowflakeConnection
from snowflake.connector import errors as vendor

from demo import agent, sabotage
from demo.acts import AGENT_USER, Scene
from demo.agent import Vended, refused_login
from demo.checks import ANNA, BOB, CheckFailed, Row, Sight, check, check_rows
from demo.crm import ON_BOTH, PLATFORM, Crm, note_of
from demo.questions import CUSTOMERS, EVERYBODY
from rolevend.naming import parse_role_name
from rolevend.platforms.protocol import Secret
from rolevend.platforms.snowflake.vend.keys import der
from testbed.snowflake_model import logged_in

_REQUESTS = ON_BOTH / "vended-roles.yaml"
_SHOWN = ("person_id", "full_name", "ssn", "birth_date", "country", "note")


@dataclass(frozen=True, slots=True)
class OnBoth:
    """One person's role on two platforms."""

    sight: Sight
    vended: Vended
    """Has the login of PostgreSQL."""
    account: Mapping[str, str] = field(repr=False)
    """The login of Snowflake: the keys of its Secret."""

    def connect_to_account(self) -> SnowflakeConnection:
        """Connect with Snowflake's connector, as users of the account do. Raises the connector's errors."""
        login = self.account
        return logged_in(
            dict(login), login["username"], der(Secret(login["private_key"])), role=login["role"], warehouse=login["warehouse"]
        )


def ask_on_both(scene: Scene) -> None:
    stage, tell = scene.stage, scene.tell
    tell.act(9, "The same policies on a second platform: one role name on PostgreSQL and on Snowflake")
    tell.say("No account is at hand, so this one is a model of Snowflake, and not Snowflake. Its clients are real: rolevend's driver, and")
    tell.say(
        "Snowflake's own connector, for the operator and for the agent. The model holds the first of the insurer's people, as customers."
    )
    tell.command(
        f"rolevend platform install -f {ON_BOTH}/manifests/1-platform.yaml --accept … --connection administrator", "an administrator"
    )
    tell.command(f"kubectl apply -f secrets.yaml -f {ON_BOTH}/manifests", "the platform team, and the owners of the data")
    crm = stage.crm or stage.add_crm()
    tell.command(f"kubectl apply -f {_REQUESTS}", AGENT_USER)
    both = _ask(scene)
    for each in both:
        _check_name(scene, crm, each)
    tell.seen("each role has one name, on both platforms")
    tell.table(
        ("for", "role on warehouse (PostgreSQL) and on crm (Snowflake)"), [(each.sight.first_name, each.vended.role) for each in both]
    )
    if scene.breaks("crm-view"):
        scene.broke(sabotage.show_every_customer(crm, both[0].vended.role))
    _compare(scene, crm, both)
    _try_to_leave(scene, *both)
    _give_back(scene, crm, both)


def _ask(scene: Scene) -> list[OnBoth]:
    kubectl, sights = scene.stage.agent, (ANNA, BOB)
    names = [f"both-for-{sight.subject}" for sight in sights]
    roles, took = agent.ask(kubectl, names, _REQUESTS)
    scene.times["from kubectl apply until two roles are Ready on two platforms"] = took
    return [OnBoth(sight, role, agent.credential(kubectl, f"{role.name}-{PLATFORM}")) for sight, role in zip(sights, roles, strict=True)]


def _check_name(scene: Scene, crm: Crm, each: OnBoth) -> None:
    who, role = f"the role for {each.sight.subject}", each.vended.role
    parts = parse_role_name(role)
    check(
        f"the name of {who} says which agent, which user, which request",
        expected=("FINBOT", each.sight.handle, each.vended.uid),
        seen=(parts.agent, parts.user, parts.uid),
    )
    check(f"{who} is in PostgreSQL", expected=True, seen=scene.witness.exists(role))
    check(f"{who} is in Snowflake under the same name", expected=[role], seen=crm.roles(role))
    check(f"{who} has one user in Snowflake, of its own", expected=[each.account["username"]], seen=crm.users(role))


def _compare(scene: Scene, crm: Crm, both: list[OnBoth]) -> None:
    """Check all customers, cell by cell: both platforms show the policies' view of the seeded people."""
    seed, tell, salt, here = scene.stage.seed, scene.tell, scene.witness.salt(), len(crm.people)
    tell.say("The agent asks both, each with the driver of its kind:")
    tell.sql(f"{EVERYBODY}    -- warehouse")
    tell.sql(f"{CUSTOMERS}    -- crm")
    told: list[Row] = []
    for each in both:
        sight = each.sight
        with each.vended.connect() as connection:
            people = [row for row in agent.rows(connection, EVERYBODY) if int(str(row[0])) <= here]
        with closing(each.connect_to_account()) as connection:
            customers = _answer(connection, CUSTOMERS)
        mine = [person for person in crm.people if person.country in sight.countries]
        check_rows(
            f"warehouse: the customers of {sight.first_name}'s role", expected=[sight.masked(one, salt) for one in mine], seen=people
        )
        expected = [(*sight.masked(one, crm.salt()), sight.note(note_of(one))) for one in mine]
        check_rows(f"crm: the customers of {sight.first_name}'s role", expected=expected, seen=customers)
        first = seed.person(int(str(people[0][0])))
        told += [
            (sight.first_name, "warehouse", *_short((*people[0], ""))),
            ("", "crm", *_short(customers[0])),
            ("", "", *_short((*first, note_of(first)))),
        ]
    tell.table(("for", "on", *_SHOWN), told, faint=range(2, len(told), 3))
    tell.say("(below each pair: what both platforms hold. Each hashes with a secret of its own.)")
    tell.seen(f"of {here:,} customers each person sees the same on both platforms, row by row and mask by mask")


def _try_to_leave(scene: Scene, anna: OnBoth, bob: OnBoth) -> None:
    told = []
    with closing(anna.connect_to_account()) as connection:
        for attempt, statement in (
            ("SELECT * FROM CRM.SALES.CUSTOMERS", "SELECT * FROM CRM.SALES.CUSTOMERS"),
            ("USE ROLE <Bob's role>", f'USE ROLE "{bob.vended.role}"'),
            ("USE ROLE RV_PROGRAMMER", "USE ROLE RV_PROGRAMMER"),
            ("SELECT * FROM ROLEVEND.CONTROL.LEASE", "SELECT * FROM ROLEVEND.CONTROL.LEASE"),
            ("CREATE TABLE CRM.SALES.KEPT (…)", "CREATE TABLE CRM.SALES.KEPT (A INTEGER)"),
        ):
            told.append((attempt, _refusal(connection, attempt, statement)))
        elsewhere = _answer(connection, "SELECT COUNT(*) FROM CUSTOMERS WHERE COUNTRY = 'US'")
    check("crm: Anna's role finds no customer of Bob's country", expected=[(0,)], seen=elsewhere)
    told.append(("SELECT COUNT(*) FROM CUSTOMERS WHERE COUNTRY = 'US'", "0"))
    scene.tell.table(("Anna's role tries on crm", "the model of Snowflake answers"), told)


def _give_back(scene: Scene, crm: Crm, both: list[OnBoth]) -> None:
    tell, witness = scene.tell, scene.witness
    names = [each.vended.name for each in both]
    tell.command(f"kubectl delete vendedrole {' '.join(names)}", AGENT_USER)
    scene.stage.agent("delete", "vendedrole", *names)
    if scene.breaks("crm-role"):
        scene.broke(sabotage.make_again(crm, both[0].vended.role))
    for each in both:
        role = each.vended.role
        check(f"{role} is gone from PostgreSQL", expected=False, seen=witness.exists(role))
        check(f"{role} is gone from Snowflake, with its user", expected=([], []), seen=(crm.roles(role), crm.users(role)))
        refused_login(each.vended)
    tell.answered("a new login to crm with the same key:", _refused_login(both[0]))
    tell.seen("kubectl delete returns when the roles are gone from both platforms")


def _answer(connection: SnowflakeConnection, question: str) -> list[Row]:
    """Return the rows. Raises `CheckFailed` with the platform's message if the query fails."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return [tuple(row) for row in cursor.fetchall()]
    except vendor.Error as error:
        raise CheckFailed("the agent's question is answered", "rows", _said(error)) from error


def _refusal(connection: SnowflakeConnection, attempt: str, statement: str) -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except vendor.ProgrammingError as error:
        return _said(error)
    raise CheckFailed(f"the agent tries on {PLATFORM}: {attempt}", "a refusal", "it is let do so")


def _refused_login(each: OnBoth) -> str:
    try:
        each.connect_to_account().close()
    except vendor.Error as error:
        return _said(error)
    raise CheckFailed(f"a login of {each.vended.role} to {PLATFORM} that must not be", "a refusal", "it is let in")


def _said(error: vendor.Error) -> str:
    """Return the first sentence of the platform's message."""
    return " ".join(str(error.raw_msg or error).split()).partition(". ")[0].removesuffix(".")


def _short(row: Row) -> tuple[Any, ...]:
    """Shorten a row for a table: ids as text, and digests to their prefix."""
    return tuple(f"{cell[:11]}…" if isinstance(cell, str) and len(cell) == 64 else cell for cell in (str(row[0]), *row[1:]))
