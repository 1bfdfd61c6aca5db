"""Who can read, without a cluster: the rows of a page, its bounds, and the people that an answer rests on."""

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rolevend.access_ledger.selection import Selection
from rolevend.access_report.answer import ActingNames, Basis, PossibleAccess, RoleAccess
from rolevend.access_report.audited import AuditedAccess
from rolevend.access_report.live import LiveAccess, LiveRoles
from rolevend.access_report.person import PersonQuestion, person_answer
from rolevend.access_report.picture import picture_answer
from rolevend.access_report.reader import AccessSources
from rolevend.access_report.report import AccessAnswer, possible_answer
from rolevend.access_report.target import AccessQuestion, read_target
from rolevend.console import pages
from rolevend.console.access_reading import AccessAnswers
from rolevend.console.forms import said
from rolevend.console.live import VisibleRoles
from rolevend.console.person import Person
from rolevend.console.questions import question_of
from rolevend.console.reader_rows import MOST_ROWS, LiveTable, PossibleTable
from rolevend.console.sessions import Session
from rolevend.errors import InvalidInput, NotPermitted
from rolevend.kinds import API_VERSION, UserAttributes
from rolevend.kube.client import Body, KubeClient, ResourcePath, path_of
from rolevend.model import User
from rolevend.policytools.cluster import PeopleBound, objects_of
from tests.support.as_code import WAREHOUSE
from tests.support.reading_world import CATALOG, ISSUER, cluster_objects

SSN = AccessQuestion(read_target("claims.people.ssn"), Selection())


class Lists:
    """The lists of a cluster, in pages of two."""

    def __init__(self, *bodies: Body) -> None:
        self.bodies = bodies
        self.pages_of_people = 0

    async def list(self, path: ResourcePath) -> tuple[list[Body], str]:
        return [item async for page in self.pages(path) for item in page["items"]], "1"

    async def pages(self, path: ResourcePath) -> AsyncIterator[Body]:
        kind = {path_of(UserAttributes).plural: "UserAttributes"}.get(path.plural)
        items = [each for each in self.bodies if each["kind"] == kind]
        for begin in range(0, len(items), 2):
            self.pages_of_people += 1
            yield {"items": items[begin : begin + 2]}


def user_attributes(name: str, subject: str, handle: str | None = None) -> Body:
    spec: Body = {"user": {"issuer": ISSUER, "subject": subject}, **({"handle": handle} if handle else {})}
    return {"apiVersion": API_VERSION, "kind": "UserAttributes", "metadata": {"name": name, "uid": name}, "spec": spec}


PEOPLE = [
    user_attributes("a", "anna", "ANN"),
    user_attributes("b", "bob", "BOB"),
    user_attributes("c", "carl"),
    user_attributes("d", "anna"),
]


async def subjects(bound: PeopleBound, lists: Lists | None = None) -> list[str]:
    found = await objects_of(cast(KubeClient, lists or Lists(*PEOPLE)), bound)
    return [each.spec.user.subject for each in found.folder.of(UserAttributes)]


class TestPeopleOfAnAnswer:
    @pytest.mark.parametrize("name", ["anna", f"anna ({ISSUER})", "ANN"])
    async def test_all_objects_of_the_chosen_user_are_read_whichever_name_is_given(self, name: str):
        bound = PeopleBound(10, name)
        assert await subjects(bound) == ["anna", "anna"]
        assert bound.other_users >= {"bob", "carl"}, "for suggestions"

    async def test_only_the_users_of_live_roles_are_read(self):
        assert await subjects(PeopleBound(10, users=frozenset({User(ISSUER, "bob")}))) == ["bob"]
        assert await subjects(PeopleBound(10, users=frozenset())) == []

    async def test_reading_ends_at_the_bound(self):
        lists, bound = Lists(*PEOPLE), PeopleBound(1)
        assert await subjects(bound, lists) == ["anna"]
        assert (bound.is_cut, lists.pages_of_people) == (True, 1)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> AccessSources:
    return AccessSources({WAREHOUSE: CATALOG}, objects=cluster_objects(tmp_path_factory.mktemp("world")))


def test_an_answer_that_is_over_says_what_was_not_tried(sources: AccessSources):
    late = AccessQuestion(SSN.target, Selection(), is_over=lambda: True)
    assert possible_answer(SSN, sources).entries
    found = possible_answer(late, sources)
    assert (found.entries, [each for each in found.notes if each.startswith("not tried: some users")] != []) == ((), True)

    role: Any = object()
    live = LiveAccess(late, None, {}, AuditedAccess(SSN.target))
    assert (list(live.of(LiveRoles((role, role)))), live.notes[-1].partition(",")[0]) == ([], "not judged: 2 more live roles")


def test_a_page_has_so_many_rows_and_counts_the_others(sources: AccessSources):
    answer = possible_answer(SSN, sources)
    many: AccessAnswer[PossibleAccess] = AccessAnswer(answer.entries * MOST_ROWS, answer.notes)
    table = PossibleTable.of(SSN, many)
    assert (len(table.rows), table.left_out) == (MOST_ROWS, len(many.entries) - MOST_ROWS)
    assert table.summary.startswith("claims.people.ssn: ")
    assert {each.rows for each in table.rows} == {"every row", "country in (user attribute countries)"}


def test_a_role_whose_access_is_not_known_says_so():
    blank = next(iter(live_rows(Basis.UNKNOWN).rows))
    assert (blank.shows, blank.rows, blank.policies, blank.source) == ("?", "?", "?", "perhaps")


def live_rows(basis: Basis) -> LiveTable:
    acting = ActingNames(agent="agents/finbot", user_issuer=ISSUER, user_subject="anna")
    entry = RoleAccess(acting=acting, object="agents/ask", role=None, platform=WAREHOUSE, state="Live", basis=basis)
    return LiveTable.of(SSN, AccessAnswer((entry,), ()))


def test_a_question_names_the_field_that_is_wrong():
    found = question_of({"table": " claims.people.ssn ", "user": "anna", "agent": "", "purpose": " "})
    assert (found.target, found.selection, found.platform, found.purpose) == (SSN.target, Selection(user="anna"), None, None)
    for given, text in (
        ({"table": "people"}, "Table or column: 'people' names no table"),
        ({"table": "a.b", "agent": "x" * 301}, "Agent: has more than 300 characters"),
    ):
        with pytest.raises(InvalidInput) as raised:
            question_of(given)
        assert text in said(raised.value)


OLGA = Session(Person("staff:olga"), "secret")


def rendered(template: str, **values: object) -> str:
    given = {"user": "anna", "table": "claims.people"}
    return bytes(pages.page(template, OLGA, title="Who can read", given=given, told=None, error=None, **values).body).decode()


def test_each_answer_is_a_page_and_leads_to_the_next_one(sources: AccessSources):
    could = rendered("readers.html", live=None, could=PossibleTable.of(SSN, possible_answer(SSN, sources)))
    live = rendered("readers.html", live=live_rows(Basis.STATUS), could=None)
    person = rendered("access_of_person.html", found=person_answer(PersonQuestion("anna", "finbot"), sources))
    for page in (could, live, person):
        link = "/readers/explain?user=anna+%28https%3A%2F%2Fidp.example.org%29&amp;agent=agents%2Ffinbot&amp;table=claims.people"
        assert link in page
    assert "user=anyone" not in could, "nobody has this name"
    for user in ("anna", "carl", "bob"):
        page = rendered("explanation.html", found=picture_answer(PersonQuestion(user, "ratebot"), SSN.target, sources))
        assert page.count('class="card ') == 4 + (user == "carl")
        assert all(f">{each}</bdi>" in page for each in ("full_name", "ssn", "country"))
        assert "Example 1234" in page
        assert " style=" not in page


def test_people_take_turns_whatever_number_of_questions_one_of_them_has(monkeypatch: pytest.MonkeyPatch):
    answers = AccessAnswers(cast(KubeClient, None), cast(VisibleRoles, None), "rolevend-system", lambda: datetime.now(UTC), enabled=True)
    read: list[str] = []

    async def of_person(person: Person, _people: PeopleBound) -> AccessSources:
        read.append(person.username)
        await asyncio.sleep(0)
        return AccessSources({})

    async def ask(*people: str) -> None:
        asked = [asyncio.create_task(answers.person(Person(each), PersonQuestion("anna"))) for each in people]
        for each in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(each, NotPermitted)

    monkeypatch.setattr(answers, "_read", of_person)
    asyncio.run(ask(*["olga"] * 20, "nina", "rita"))
    assert set(read[:4]) == {"olga", "nina", "rita"}
    assert read.count("olga") == 20
    gc.collect()
    assert not answers._turns._own, "bounded memory"
