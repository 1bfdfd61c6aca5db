"""A line of the audit file has its bound whatever the kinds let people write, and says how much it leaves out."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from rolevend.audit.chain import Chain, Key
from rolevend.audit.events import DeniedEvent, DroppedEvent, GrantedEvent
from rolevend.audit.evidence import access_summary
from rolevend.audit.json_size import as_json, bytes_of, clipped, within
from rolevend.audit.receipt import MAX_BYTES, Receipts
from rolevend.audit.role_events import End, denied, dropped, granted
from rolevend.catalog import FunctionId, TableId
from rolevend.decision.outcome import Granted, Request
from rolevend.decision.proof import Actor, Proof, UserProof
from rolevend.decision.snapshot import Snapshot
from rolevend.decision.snapshot_inputs import SourceVersions
from rolevend.identity.signature import SigningKey
from rolevend.model import Attributes, ObjectName, RoleName, Task, Uid, User, Version
from rolevend.plan import Profile
from rolevend.platforms.protocol import EndReason
from rolevend.policy.statement import Requirement
from tests.support import registered
from tests.support.policies import policy
from tests.support.registered import AGENT, NOW, PERSON, REQUEST, TERMS, WAREHOUSE, shapes
from tests.support.tiers import by_tier

LONGEST = 64 * 1024
"""What CloudEvents asks everybody to carry."""
CHARACTERS = 'a"\\é€\U0001f600'
"""Of one to twelve bytes in JSON."""
LISTS = ("actors", "resources", "attributes", "objects", "agentAttributes", "functions", "tables")
MOST = {
    "actors": 4,
    "resources": 64,
    "attributes": 64,
    "values": 256,
    "objects": 300,
    "agentAttributes": 200,
    "functions": 300,
    "tables": 2000,
}
"""The schema's own bounds, where it has one; values are those of each attribute, and beyond 200 more of an agent's make no difference."""
counts = st.fixed_dictionaries({name: st.integers(0, most) for name, most in MOST.items()})


def text(length: int, character: str, number: int = 0) -> str:
    """So long, and another one for each number."""
    return f"{number:04}".ljust(length, character)


def name(character: str, number: int = 0) -> str:
    """In a database: at most 63 bytes of UTF-8."""
    return text(4 + 59 // len(character.encode()), character, number)


def facts(keys: int, values: int, character: str) -> Attributes:
    held = [text(256, character, number) for number in range(values)]
    return Attributes.of((text(128, character, number), held) for number in range(keys))


def asked(character: str, many: dict[str, int]) -> Request:
    tables = tuple(TableId(name(character), name(character, number)) for number in range(many["resources"]))
    agent, user = ObjectName("n" * 63, "a" * 253), User(text(512, character), text(255, character))
    return replace(
        REQUEST,
        name=replace(agent, name="r" * 253),
        agent=agent,
        user=user,
        resources=tables or None,
        requested_by=character * 9000,
        purpose="p" * 63,
        task=Task(text(128, character), f"sha256:{'0' * 64}"),
        request_id=text(128, character),
        proof=Proof(
            UserProof.EXCHANGED,
            "i" * 253,
            "Exchanged",
            "0" * 64,
            NOW,
            actors=tuple(Actor(text(512, character, number), text(255, character)) for number in range(many["actors"])),
        ),
    )


def known(request: Request, character: str, many: dict[str, int]) -> Snapshot:
    user, agent = (facts(many[each], many["values"], character) for each in ("attributes", "agentAttributes"))
    reader = policy("reader", agents=tuple(Requirement(key, frozenset({"other"})) for key, _ in agent))
    versions = tuple(Version("TagBinding", f"{'n' * 63}/{number:0253}", Uid("u" * 36), 2**62) for number in range(many["objects"]))
    return registered.a_snapshot(
        agents={request.agent: replace(AGENT, name=request.agent, users=tuple(Requirement(key, frozenset({"other"})) for key, _ in user))},
        people={request.user: replace(PERSON, user=request.user, attributes=user)},
        platforms={WAREHOUSE: registered.terms(replace(TERMS, attributes=agent))},
        namespaces={request.agent.namespace: {"team": "claims"}},
        shapes={WAREHOUSE: shapes(registered.MINE, reader)},
        sources={WAREHOUSE: SourceVersions(None, {}, versions, "sha256:catalog")},
    )


def told(character: str, many: dict[str, int]) -> Iterator[GrantedEvent | DeniedEvent | DroppedEvent]:
    """A grant, a denial and an end, all of the same request."""
    request = asked(character, many)
    snapshot = known(request, character, many)
    verdict = registered.a_snapshot().decide(REQUEST)
    assert isinstance(verdict, Granted)
    functions = tuple(FunctionId(name(character), name(character, number), character * 200) for number in range(many["functions"]))
    tables = (verdict.profile.tables * 1000)[: many["tables"]]
    large = replace(verdict, profile=Profile(verdict.profile.name, tables, functions))
    yield granted(request, large, snapshot, access_summary(large.tables), NOW)
    yield denied(request, "NoPolicy", character * 40_000, snapshot, NOW)
    role = RoleName("IMMUTA_VENDED_FINBOT_ANNA_42SKFT181Z8TKB28R3A49B8MN0")
    end = End(role, EndReason.REVOKED, NOW - timedelta(1), NOW, 0.25, 3, character * 1024, character * 1024, "rv_p_1")
    yield dropped(request, end, NOW)


def left_out(body: dict[str, Any], member: str) -> int:
    rest = body.get(f"{member}LeftOut", 0)
    if isinstance(rest, int):
        return rest
    return len(rest) + int(body.get({"attributes": "keysLeftOut", "agentAttributes": "agentKeysLeftOut"}[member], 0))


@settings(max_examples=by_tier(10, 40), deadline=None)
@for_all(st.sampled_from(CHARACTERS), counts)
@example("\U0001f600", MOST)
@example("a", MOST)
@example("a", MOST | {"values": 1})
def test_a_line_stays_below_its_bound_and_what_it_does_not_say_is_counted(character: str, many: dict[str, int]):
    signing = Receipts("/rolevend/clusters/" + "u" * 36, SigningKey.new().sign)
    for plain in told(character, many):
        event = plain if isinstance(plain, DeniedEvent) else signing.on(plain, f"sha256:{'0' * 64}")
        assert isinstance(event, DeniedEvent) or len(event.receipt) <= MAX_BYTES
        line = Chain(f"/rolevend/clusters/{'u' * 36}", "c" * 36, key=Key(b"k" * 32)).append(event)

        body = json.loads(line)["data"]
        assert len(line) < LONGEST
        for member in LISTS:
            if member in body:
                whole = many[member] if many["values"] or "ttributes" not in member else 0
                assert len(body[member]) + left_out(body, member) == whole, member


def test_an_event_that_has_room_leaves_nothing_out():
    many = dict.fromkeys(MOST, 3)

    for event in told("a", many):
        body = event.data
        assert not [member for member in body if member.endswith("LeftOut")]


@pytest.mark.parametrize("long", LISTS)
def test_a_long_list_takes_no_room_from_those_that_are_short(long: str):
    many = dict.fromkeys(MOST, 3) | {"values": 1, long: MOST[long]}

    event, *_ = told("a", many)

    body = event.data
    assert all(len(body[member]) == 3 for member in LISTS if member != long)
    assert len(body[long]) > 3


@for_all(st.text(max_size=50), st.integers(10, 200))
def test_a_text_that_is_cut_says_so_and_has_room(whole: str, room: int):
    cut = clipped(whole, room)

    assert bytes_of(cut) <= room
    assert cut == whole or (cut.endswith("...") and whole.startswith(cut.removesuffix("...")))
    assert (cut == whole) == (bytes_of(whole) <= room)


@for_all(st.lists(st.text(max_size=20), max_size=20), st.integers(2, 200))
def test_of_a_list_the_first_ones_are_told_that_have_room(things: list[str], room: int):
    held, taken = within(room, things)

    assert list(held) == things[: len(held)]
    assert bytes_of(held) <= taken <= room
    assert len(held) == len(things) or taken + bytes_of(things[len(held)]) + 1 > room


def test_the_json_of_a_table_is_made_once_and_is_that_of_each_event_with_it():
    decided = registered.granted()
    given = access_summary(decided.tables)
    first, second = (granted(replace(REQUEST, uid=Uid(uid)), decided, registered.a_snapshot(), given, NOW).data for uid in ("1", "2"))

    assert [one is other for one, other in zip(first["tables"], second["tables"], strict=True)] == [True, True]
    assert (first | {"requestUid": "2"}) == second
    assert first["tables"] == [as_json(replace(each)) for each in given.tables]


def test_the_text_that_decides_if_an_event_fits_is_the_one_that_is_written():
    decided = registered.granted()
    event = granted(REQUEST, decided, registered.a_snapshot(), access_summary(decided.tables), NOW)
    text = event.data_text

    line = Chain("source", "name").append(event).decode()

    assert event.data_text is text
    assert f'"data":{text},"chain":"name"' in line
    assert json.loads(text) == event.data
    assert json.loads(replace(event, tables=None).data_text).keys() == event.data.keys() - {"tables"}
