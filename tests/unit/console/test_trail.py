"""The trail of a role from files: who sees which line, and what is said of its chain and receipts."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rolevend.access_ledger.entry import LedgerEntry, Ran, Touched, entry_of
from rolevend.access_ledger.ocsf import ocsf
from rolevend.audit.chain import Chain, Key
from rolevend.audit.events import AuditEvent, StartedEvent
from rolevend.audit.receipt import digest_of, payload_of
from rolevend.audit.receipt_files import VerifiedReceipts, public_key_set
from rolevend.console import pages, trail_text
from rolevend.console.failures import Busy
from rolevend.console.inbox import Requests
from rolevend.console.live import VisibleRoles
from rolevend.console.objects import WatchedObjects
from rolevend.console.person import Person
from rolevend.console.rights import Act, Rights
from rolevend.console.sessions import Session
from rolevend.console.trail_files import MOST_EVENTS, FoundRows, RoleTrail, TrailFiles
from rolevend.console.trail_query import TrailQuery, uid_of
from rolevend.console.trail_text import Room, TrailEntry
from rolevend.console.trails import Trails, VisibleTrail
from rolevend.errors import InvalidInput
from rolevend.identity.key_set import KeySet, parse
from rolevend.identity.signature import SigningKey
from rolevend.model import RoleName, Uid
from rolevend.naming import parse_role_name
from rolevend.platforms.statement import Statement
from tests.support import pglogs
from tests.support.pglogs import OTHER_ROLE, ROLE

SOURCE = "/rolevend/clusters/c/operator"
UID, OTHER_UID = (Uid(str(parse_role_name(each).uid)) for each in (ROLE, OTHER_ROLE))
HOSTILE = "</bdi><script>alert(1)</script>\u202e\x1b[2J"


@dataclass(frozen=True)
class Raw:
    """An event as a file has it."""

    event: dict[str, Any]

    def envelope(self, source: str) -> dict[str, Any]:
        return {name: value for name, value in self.event.items() if name != "data"} | {"source": source}

    @property
    def data_text(self) -> str:
        return json.dumps(self.event["data"])


def granted(role: str = ROLE, **values: Any) -> Raw:
    return Raw(pglogs.granted(role, **{"requestUid": str(parse_role_name(role).uid), **values}))


def dropped(role: str = ROLE, **values: Any) -> Raw:
    return Raw(pglogs.dropped(role, requestUid=str(parse_role_name(role).uid), **values))


def lines(*events: Raw | AuditEvent, key: Key | None = None, name: str = "c1") -> list[bytes]:
    chain = Chain(SOURCE, name, key=key)
    started = StartedEvent(id=f"{name}/started", subject="pod", time=datetime(2026, 11, 24, tzinfo=UTC), version="1", host="pod")
    return [chain.append(each) for each in (started, *events)]  # type: ignore[arg-type]


def written(folder: Path, content: Iterable[bytes], name: str = "audit.ndjson") -> TrailFiles:
    (folder / name).write_bytes(b"".join(content))
    return TrailFiles([str(folder)], [])


def within(*namespaces: str, everything: bool = False) -> Callable[[str | None], bool]:
    return lambda namespace: everything or namespace in namespaces


def test_the_trail_has_the_events_of_one_role_in_the_order_of_their_times(tmp_path: Path):
    files = written(tmp_path, lines(granted(), granted(OTHER_ROLE), dropped(), dropped(OTHER_ROLE)))

    found = files.trail(UID)

    assert [each.content["id"] for each in found.events] == [f"{ROLE}/granted", f"{ROLE}/dropped"]
    (chain,) = found.chains
    assert (chain.problems, chain.unread_bytes, chain.file) == ((), 0, "audit.ndjson")
    assert (chain.first, chain.last) == ("2026-11-24T11:55:00Z", "2026-11-24T12:30:01Z")
    with pytest.raises(InvalidInput):
        files.trail(Uid("../../etc/passwd"))


def test_the_request_whose_approval_a_role_uses_is_a_part_of_its_trail(tmp_path: Path):
    mine, other = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"

    def asked(uid: str) -> Raw:
        data = {"accessRequest": "agents/ask", "accessRequestUid": uid, "agent": "agents/finbot", "userSubject": "anna", "userIssuer": "i"}
        event = {"id": f"{uid}/access/requested", "type": "dev.rolevend.access-requested", "subject": "agents/ask", "data": data}
        return Raw({**event, "time": "2026-11-24T11:00:00Z"})

    files = written(tmp_path, lines(asked(mine), asked(other), granted(approval={"request": "agents/ask", "requestUid": mine})))

    assert [each.content["id"] for each in files.trail(UID).events] == [f"{mine}/access/requested", f"{ROLE}/granted"]
    assert [each.content["id"] for each in files.trail(Uid(mine)).events] == [f"{mine}/access/requested"]


@pytest.mark.parametrize("place", range(1, 5))
def test_an_event_that_was_taken_out_or_altered_breaks_the_chain_that_is_told(tmp_path: Path, place: int):
    whole = lines(granted(), granted(OTHER_ROLE), dropped(), dropped(OTHER_ROLE))
    altered = [*whole[:place], whole[place].replace(b"anna", b"bert"), *whole[place + 1 :]]
    missing = [*whole[:place], *whole[place + 1 :]]

    assert written(tmp_path, altered).trail(UID).chains[0].problems
    found = written(tmp_path, missing).trail(UID)
    assert found.chains[0].problems or place == len(whole) - 1, "nothing shows that a last one is missing"


def test_a_chain_is_verified_across_a_rotation(tmp_path: Path):
    whole = lines(granted(), granted(OTHER_ROLE), dropped())
    (tmp_path / "audit.ndjson.1").write_bytes(b"".join(whole[:2]))
    assert written(tmp_path, whole[2:]).trail(UID).chains[0].problems == ()

    (found,) = written(tmp_path, whole[3:]).trail(UID).chains

    assert "is missing" in found.problems[0][1]
    assert found.problems[0][0] == "audit.ndjson at byte 0"


def test_of_sealed_events_the_key_is_named_and_their_order_verified(tmp_path: Path):
    key = Key(b"k" * 32)
    whole = lines(granted(), granted(OTHER_ROLE), dropped(), key=key)

    (found,) = written(tmp_path, whole).trail(UID).chains

    assert (found.problems, found.keys) == ((), {key.id})
    assert written(tmp_path, [*whole[:2], *whole[3:]]).trail(UID).chains[0].problems


def test_a_line_is_seen_by_those_with_the_right_in_its_namespace_alone(tmp_path: Path):
    orphan = dropped()
    del orphan.event["data"]["agent"]
    files = written(tmp_path, lines(granted(), orphan))
    found = files.trail(UID)

    assert len(found.seen_by(within("agents")).events) == 2, "the end belongs to the namespace of the beginning"
    for nobody in (within(), within("other"), within("agent", "agents2")):
        seen = found.seen_by(nobody)
        assert (seen.events, seen.statements, seen.chains) == ([], [], [])
    alone = written(tmp_path, lines(orphan)).trail(UID)
    assert not alone.seen_by(within("agents")).events
    assert len(alone.seen_by(within(everything=True)).events) == 1


def test_what_states_two_namespaces_belongs_to_neither(tmp_path: Path):
    orphan = dropped()
    del orphan.event["data"]["agent"]
    other = Raw({**granted(agent="other/finbot").event, "id": "forged"})
    found = written(tmp_path, lines(granted(), other, orphan)).trail(UID)

    assert [each.content["id"] for each in found.seen_by(within("agents")).events] == [f"{ROLE}/granted"]
    assert found.seen_by(within("agents")).chains == [], "its notes would be about the others, too"
    assert len(found.seen_by(within(everything=True)).events) == 3


def entry(role: str = ROLE, text: str = "SELECT 1", number: int = 1, **values: Any) -> LedgerEntry:
    statement = Statement("t", "claims", "s", "10.0.0.7:5123", "psql", text, "$1 = '42'", 1.5, "42501 permission denied")
    time = datetime(2026, 11, 24, 12, 0, number, tzinfo=UTC)
    ran = Ran(id=f"s/{number}", time=time, role=role, source="PostgreSQL", command="SELECT", refused=False)
    return replace(entry_of(statement, ran, None, Touched(("claims.people",), "observed"), 32_768), **values)


@pytest.mark.parametrize("form", ["json", "ocsf"])
def test_statements_are_of_the_role_and_the_same_in_both_formats(tmp_path: Path, form: str):
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    entries = [entry(number=2), entry(text=f"SELECT '{OTHER_ROLE}'", number=1), entry(OTHER_ROLE, f"SELECT '{ROLE}'")]
    content = [json.dumps(ocsf(each) if form == "ocsf" else each.as_json()) for each in entries]
    (ledger / "warehouse.ndjson").write_text("\n".join(content))
    files = TrailFiles([], [str(ledger)])

    found = files.trail(UID)

    assert [each.content["statement"] for each in found.statements] == [f"SELECT '{OTHER_ROLE}'", "SELECT 1"]
    shown = trail_text.of_statement(found.statements[1].content, Room())
    facts = dict(shown.facts) | dict(shown.context)
    assert (shown.time, shown.title, shown.statement) == ("2026-11-24 12:00:02.000", "Statement failed", ["SELECT 1"])
    assert (facts["database"], facts["failed"], facts["with"]) == ("claims", "42501 permission denied", "$1 = '42'")
    assert facts["client"] == "10.0.0.7:5123"
    assert dict(shown.facts)["tables"] == "claims.people"
    assert found.namespace is None
    assert not found.seen_by(within("agents")).statements
    assert len(found.seen_by(within(everything=True)).statements) == 2


def test_a_statement_on_one_server_does_not_hide_that_of_another_with_the_same_id(tmp_path: Path):
    """Its id is the second in which the session began, its process id, and a number: an agent can have them on two servers."""
    for server, text in (("warehouse", "SELECT * FROM people"), ("annex", "SELECT 1")):
        (tmp_path / f"{server}.ndjson").write_text(f"{json.dumps(entry(text=text).as_json())}\n" * 2)

    found = TrailFiles([], [str(tmp_path)]).trail(UID)

    assert sorted(each.content["statement"] for each in found.statements) == ["SELECT * FROM people", "SELECT 1"]


def signed(event: Raw, key: SigningKey, first: str | None = None) -> Raw:
    """The event with its receipt."""
    payload = payload_of(event.event | {"source": SOURCE}, first)
    return Raw(event.event | {"data": event.event["data"] | {"receipt": key.sign(json.dumps(payload).encode())}})


def test_receipts_are_verified_with_the_public_keys(tmp_path: Path):
    key = SigningKey.new()
    beginning = signed(granted(), key)
    end = signed(dropped(), key, digest_of(beginning.event["data"]["receipt"]))
    altered = Raw(end.event | {"data": end.event["data"] | {"endedBy": "Nobody"}})
    keys = parse(public_key_set([key]).encode())

    def verified(*events: Raw, known: KeySet | None = keys) -> VerifiedReceipts | None:
        written(tmp_path, lines(*events))
        return TrailFiles([str(tmp_path)], [], known).trail(UID).receipts

    found = verified(beginning, end)
    assert found is not None
    assert (len(found.receipts), found.problems) == (1, [])
    for problem in (verified(beginning, altered), verified(beginning, end, known=parse(public_key_set([SigningKey.new()]).encode()))):
        assert problem is not None
        assert problem.problems
    assert verified(granted(), dropped()) is None
    assert verified(beginning, known=None) is None


def test_a_search_finds_rows_by_name_uid_agent_user_and_day(tmp_path: Path):
    other = {"agent": "other/riskbot", "userSubject": "bert", "time": "2026-11-25T09:00:00Z"}
    files = written(tmp_path, lines(granted(), dropped(), granted(OTHER_ROLE, **other)))

    def rows(**given: str) -> set[str]:
        return {each.name for each in files.search(TrailQuery.of(given)).rows if each.uid}

    assert rows() == {ROLE, OTHER_ROLE}
    for given in ({"q": ROLE}, {"q": UID}, {"agent": "agents/finbot"}, {"agent": "finbot"}, {"user": "anna"}, {"to": "2026-11-24"}):
        assert rows(**given) == {ROLE}, given
    for given in ({"q": OTHER_ROLE}, {"q": "RISKBOT"}, {"user": "bert"}, {"from": "2026-11-25"}):
        assert rows(**given) == {OTHER_ROLE}, given
    assert rows(user="ann") == rows(q="nothing", user="anna") == set()
    (row,) = files.search(TrailQuery.of({"q": ROLE})).rows
    assert (row.kinds, row.namespace, row.first, row.last) == (
        frozenset({"granted", "dropped"}),
        "agents",
        "2026-11-24T11:55:00Z",
        "2026-11-24T12:30:01Z",
    )
    for day in ("yesterday", "2026-11-31T", "2026-13-01", HOSTILE):
        with pytest.raises(InvalidInput):
            TrailQuery.of({"from": day})


def test_a_search_finds_words_that_are_not_ascii(tmp_path: Path):
    files = written(tmp_path, lines(granted(userSubject='Zoë "Z"')))
    assert len(files.search(TrailQuery.of({"user": 'Zoë "Z"'})).rows) == 1


@pytest.mark.parametrize("data", [{}, {"tables": 7, "approval": "x"}, {"tables": [7, {}], "objects": {"a": [[[["deep"]]]]}, "receipt": 3}])
def test_an_event_of_another_version_or_with_hostile_words_is_shown_as_text(tmp_path: Path, data: dict[str, Any]):
    event = {"id": "x", "type": "dev.rolevend.granted", "time": HOSTILE, "data": {"requestUid": UID, "message": HOSTILE * 1000, **data}}
    files = written(tmp_path, [json.dumps(event).encode(), b"\n", b'{"id":1,"data":{}}\n', b"[" * 100_000])

    (line,) = files.trail(UID).events
    shown = trail_text.of_event(line.content)

    for text in (shown.time, shown.title, *(word for fact in shown.facts for word in fact)):
        assert text.isprintable()
        assert len(text) <= 2100
    assert files.search(TrailQuery()).rows


@pytest.mark.parametrize(
    "forged", [{"sequence": "9" * 5000}, {"id": "\ud800"}, {"data": {"accessRequestUid": [UID]}}, {"data": {"accessRequestUid": {"a": 1}}}]
)
def test_a_line_that_somebody_forged_hides_the_trail_of_no_role(tmp_path: Path, forged: dict[str, Any]):
    event = json.loads(lines(granted())[1])
    line = json.dumps({**event, **forged, "data": {**event["data"], "receipt": "x", **forged.get("data", {})}})
    (tmp_path / "audit.ndjson").write_text(f"{line}\n")
    record = TrailFiles([str(tmp_path)], []).trail(UID)
    entries = list(Trails.__new__(Trails)._entries(record, None, []))
    assert len(entries) == 1
    found = VisibleTrail(entries, record, sees_everything=True, role=None, requests=[])
    names = ("reads_files", "reads_ledger", "has_keys")
    values = {"uid": UID, "found": found, "record": record, "most_problems": 20, "moment": trail_text.moment, **dict.fromkeys(names, True)}
    answer = pages.page("trail.html", Session(Person("olga"), "s"), title=found.title, **values)
    assert b"Broken" in bytes(answer.body)


def test_a_statement_shows_no_invisible_characters_and_a_bounded_part():
    shown = trail_text.of_statement({"time": "2026-11-24T12:00:00Z", "statement": f"SELECT '\u202e'\n-- {'x' * 40_000}"}, Room())
    assert shown.statement is not None
    assert shown.statement[0] == "SELECT '\\u202e'"
    assert shown.is_cut
    assert sum(map(len, shown.statement)) < 2 * trail_text.MOST_CHARACTERS


@pytest.mark.parametrize("text", ["\n" * 8_000, "x" * 40_000, "x\n" * 4_000])
def test_statements_that_an_agent_makes_long_do_not_make_a_page_long(text: str):
    room = Room()
    shown = [trail_text.of_statement({"statement": f"SELECT 1{text}"}, room) for _ in range(1_000)]
    texts = [each.statement or [] for each in shown]
    assert all(each.is_cut for each in shown)
    assert all(each[0].startswith("SELECT 1") for each in texts), "each is shown"
    assert sum(map(len, texts)) < 22_000
    assert sum(len(line) for each in texts for line in each) < 2_300_000


def test_more_events_than_a_page_shows_are_told(tmp_path: Path):
    many = [Raw({**dropped().event, "id": f"{number}"}) for number in range(MOST_EVENTS + 1)]
    found = written(tmp_path, lines(*many)).trail(UID)
    assert found.left_out
    assert len(found.events) == MOST_EVENTS


def test_a_uid_is_found_in_the_name_of_a_role_and_in_nothing_else():
    assert (uid_of(ROLE), uid_of(UID)) == (UID, UID)
    for text in ("", "receipts", "..", UID.upper(), f"{UID}x", f" {UID}", RoleName("IMMUTA_VENDED_X")):
        assert uid_of(text) is None


def test_without_files_nothing_is_found_and_what_cannot_be_read_is_counted(tmp_path: Path):
    assert TrailFiles([], []).trail(UID) == RoleTrail()
    assert TrailFiles([str(tmp_path / "missing")], [str(tmp_path / "missing")]).trail(UID).unreadable == 2


def test_a_grant_is_shown_with_its_tables_its_policies_and_the_attributes_that_were_read():
    table = {"table": "claims.people", "rows": ["country = 'DE'"], "restrictions": ["NOT vip"], "clear": ["id"], "view": "people_1"}
    read = {"attributes": [{"key": "department", "values": ["fraud", "audit"], "source": "claim groups"}], "tablesLeftOut": 3}
    event = granted().event
    event["data"] |= read | {"tables": [{**table, "masked": [{"name": "ssn", "shows": "Partial(4)"}]}]}

    shown = trail_text.of_event(event)

    assert (shown.title, shown.sentence) == ("Role granted", f"{ROLE} on warehouse until 2026-11-24T13:00:00Z")
    assert shown.tables == [
        trail_text.GrantedTable("claims.people (as people_1)", "country = 'DE' and also NOT vip", "id", "ssn: Partial(4)")
    ]
    assert shown.more_tables == 3
    facts = dict(shown.facts)
    assert facts["objects"] == "AccessPolicy domain-claims/analysts (generation 3)"
    assert facts["attributes"] == "department = fraud, audit (claim groups)"
    assert facts["user subject"] == "anna"


class SlowFiles(TrailFiles):
    """It reads until a test lets it end."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.let_go = threading.Event()

    def search(self, query: TrailQuery) -> FoundRows:
        self.let_go.wait(60)
        return super().search(query)


class AllRights:
    async def may(self, _person: Person, _act: Act) -> bool:
        return True

    async def namespaces(self, _person: Person, _verb: str, _resource: str, named: Iterable[str]) -> frozenset[str]:
        return frozenset(named)


def test_a_long_trail_is_made_beside_the_other_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    nothing = cast(WatchedObjects, SimpleNamespace(roles=list, requests=list))
    trails = Trails(written(tmp_path, lines(granted())), nothing, cast(Rights, AllRights()), cast(Requests, None), cast(VisibleRoles, None))
    threads: list[threading.Thread] = []

    def of_event(_event: object) -> TrailEntry:
        threads.append(threading.current_thread())
        return TrailEntry("", "")

    monkeypatch.setattr(trail_text, "of_event", of_event)
    assert asyncio.run(trails.trail(Person("olga"), UID, datetime(2026, 11, 24, tzinfo=UTC))) is not None
    assert threads
    assert threading.main_thread() not in threads


def test_one_person_and_all_people_together_read_a_few_times_at_once():
    files = SlowFiles()
    nothing = cast(WatchedObjects, SimpleNamespace(roles=list, requests=list))
    trails = Trails(files, nothing, cast(Rights, AllRights()), cast(Requests, None), cast(VisibleRoles, None))

    async def ask() -> tuple[int, int]:
        first = [asyncio.create_task(trails.search(Person("olga"), TrailQuery())) for _ in range(5)]
        others = [asyncio.create_task(trails.search(Person(f"p{number}"), TrailQuery())) for number in range(20)]
        await asyncio.sleep(0)
        refused = [sum(isinstance(each.exception(), Busy) for each in tasks if each.done()) for tasks in (first, others)]
        files.let_go.set()
        await asyncio.gather(*first, *others, return_exceptions=True)
        assert (await trails.search(Person("olga"), TrailQuery())).rows == [], "it is free again"
        return refused[0], refused[1]

    assert asyncio.run(ask()) == (2, 17)
