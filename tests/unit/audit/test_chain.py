"""A line of the audit file that was altered, taken out, moved or cut off shows, and is named."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.audit.chain import BEGINNING, Chain, Key, Line, VerifiedChain, verify
from rolevend.audit.events import AuditEvent, EventType, RefusedEvent, StartedEvent, StoppedEvent

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def event(number: int, kind: type[StartedEvent] | None = None) -> AuditEvent:
    """A refusal, or an event about the chain itself."""
    envelope: Any = {"id": f"uid-{number}/{(kind or RefusedEvent).type}", "subject": f"role-{number}", "time": NOW}
    message = f"é \u202e {number}"
    if kind is None:
        return RefusedEvent(**envelope, bearer="User", refusals_left_out=number, reason="LeftOut", message=message)
    return kind(**envelope, version="1", host=message)


KEY, OTHER_KEY = Key(b"k" * 32), Key(b"o" * 32)


def chain(length: int = 6, name: str = "c1", before: str = BEGINNING, *, stopped: bool = True, key: Key | None = None) -> list[bytes]:
    """A whole one: `started`, then events, then `stopped`."""
    made = Chain("/rolevend/clusters/c", name, before, key=key)
    kinds = [StartedEvent, *[None] * (length - 2), StoppedEvent if stopped else None]
    return [made.append(event(number, kind)) for number, kind in enumerate(kinds, start=1)]


def head(lines: list[bytes]) -> str:
    return str(json.loads(lines[-1])["hash"])


def verified(lines: list[bytes], expect: str = "", *keys: Key) -> VerifiedChain:
    return verify([Line(f"f:{number}", text) for number, text in enumerate(lines, start=1)], expect, keys)


def test_a_line_is_a_cloud_event_in_json():
    line = json.loads(chain()[1])

    assert {"specversion", "id", "source", "type"} <= line.keys(), "what CloudEvents 1.0 requires"
    assert line["specversion"] == "1.0"
    assert line["time"] == "2026-11-24T12:00:00.123Z"
    assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in line), "as CloudEvents names attributes"
    assert all(isinstance(value, str) for name, value in line.items() if name != "data")
    assert line["data"] == {"bearer": "User", "refusalsLeftOut": 2, "reason": "LeftOut", "message": "é \u202e 2"}
    assert chain()[1].isascii(), "nothing in it steers a terminal"


def test_what_was_written_is_found_whole():
    found = verified(chain())

    assert (found.events, found.problems, found.notes) == (6, [], [])
    assert found.head == head(chain())


@pytest.mark.parametrize("place", range(6))
def test_a_line_that_was_altered_is_named(place: int):
    lines = chain()
    lines[place] = lines[place].replace(b"role-", b"rule-")

    assert verified(lines).problems[0].startswith(f"f:{place + 1}: event uid-{place + 1}/")


@pytest.mark.parametrize("place", range(5))
def test_a_line_that_was_altered_with_its_hash_does_not_fit_the_next(place: int):
    lines = chain()
    forged = json.loads(lines[place])
    made = Chain(forged["source"], forged["chain"], forged["previoushash"], int(forged["sequence"]) - 1)
    lines[place] = made.append(replace(event(place + 1), id=forged["id"], subject="another role"))

    assert verified(lines).problems == [f"f:{place + 2}: does not follow from f:{place + 1}: one of the two was altered"]


@pytest.mark.parametrize("place", range(1, 5))
def test_a_line_that_was_taken_out_is_missed(place: int):
    lines = chain()
    del lines[place]

    assert verified(lines).problems == [f"f:{place + 1}: 1 event is missing between f:{place} and here"]


def test_a_line_that_was_doubled_or_moved_is_named():
    lines = chain()
    assert "a copy, or out of order" in verified([*lines[:3], lines[1], *lines[3:]]).problems[0]
    assert verified([lines[0], lines[2], lines[1], *lines[3:]]).problems


def test_an_end_that_was_cut_off_shows_where_the_next_process_began():
    first = chain(stopped=False)
    second = chain(name="c2", before=head(first))

    assert verified([*first, *second]).problems == []
    (problem,) = verified([*first[:-1], *second]).problems
    assert problem.startswith("f:6: a process began here after event ")
    assert problem.endswith("the end before it was cut off")


def test_the_end_of_the_file_is_not_taken_for_the_end_of_the_record():
    lines = chain()

    assert "what followed was cut off" in verified(lines[:-1]).notes[0]
    assert verified(lines, head(lines)).problems == []
    assert "it was cut off" in verified(lines[:-1], head(lines)).problems[0]


def test_half_a_line_is_named_and_is_no_harm_where_a_process_was_killed_while_it_wrote():
    first = chain(stopped=False)
    half = first[-1][:40] + b"\n"

    assert verified([*first[:-1], half]).problems == ["f:6: cannot be read as an event: it was altered, or cut off"]
    after_a_kill = [*first[:-1], half, *chain(name="c2", before=head(first[:-1]))]
    assert verified(after_a_kill).problems == []
    assert "is cut short" in verified(after_a_kill).notes[0]


def test_files_that_were_rotated_are_verified_together_and_one_by_one():
    older = chain()
    newer = chain(name="c2", before=head(older))

    assert verified([*older, *newer]).problems == []
    assert verified(newer).problems == []
    assert f"ends with hash {head(older)}" in verified(newer).notes[0]
    assert "what went before is in an older file" in verified(older[2:]).notes[0]


def test_chains_of_two_processes_in_one_stream_are_told_apart_and_log_lines_passed_over():
    one, two = chain(), chain(name="c2")
    log = b'{"level": "INFO", "message": "vended"}\n'
    mixed = [line for pair in zip(one, two, strict=True) for line in (*pair, log)]

    found = verified(mixed)
    assert (found.events, found.passed_over, found.problems) == (12, 6, [])
    del mixed[6]
    assert "1 event is missing" in verified(mixed).problems[0]


def test_an_event_that_was_made_to_look_like_a_log_line_is_missed():
    lines = chain()
    lines[2] = lines[2].replace(b"specversion", b"specversions")
    assert "was altered" in verified(lines).problems[0]

    lines[2] = b'{"message": "vended"}\n'
    assert "1 event is missing" in verified(lines).problems[0]


@given(st.data())
def test_whatever_byte_is_changed_is_found(data: st.DataObject):
    lines = chain()
    place = data.draw(st.integers(0, 5))
    at = data.draw(st.integers(0, len(lines[place]) - 2))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != lines[place][at]))
    lines[place] = lines[place][:at] + bytes([byte]) + lines[place][at + 1 :]
    lines = b"".join(lines).splitlines(keepends=True)

    assert verified(lines).problems


class TestWithAKey:
    def test_what_was_written_is_found_whole_also_after_a_change_of_keys(self):
        older = chain(key=OTHER_KEY)
        newer = chain(name="c2", before=head(older), key=KEY)

        assert verified(newer, "", KEY).problems == []
        assert verified([*older, *newer], head(newer), KEY, OTHER_KEY).problems == []
        assert verified([*older, *newer], "", KEY).problems[0].startswith(f"f:1: event uid-1/{EventType.STARTED} was sealed with the key ")

    def test_who_writes_the_file_without_the_key_can_make_no_event(self):
        """A whole new chain, as who can write the file makes one where there is no key."""
        pretended = [line.replace(OTHER_KEY.id.encode(), KEY.id.encode()) for line in chain(key=OTHER_KEY)]
        for forged in (chain(), chain(key=OTHER_KEY), pretended):
            assert verified(forged, "", KEY).problems

    @pytest.mark.parametrize("place", range(6))
    def test_a_line_that_was_altered_or_lost_its_key_is_named(self, place: int):
        for altered in (chain(key=KEY)[place].replace(b"role-", b"rule-"), chain()[place]):
            lines = chain(key=KEY)
            lines[place] = altered

            assert verified(lines, "", KEY).problems[0].startswith(f"f:{place + 1}: event uid-{place + 1}/")

    def test_without_it_nobody_is_told_that_all_is_well(self):
        (problem,) = verified(chain(key=KEY)).problems
        assert f"was sealed with the key {KEY.id}, which was not given" in problem

    def test_nothing_of_it_is_in_the_file(self):
        assert KEY.secret not in b"".join(chain(key=KEY))
        assert KEY.id != OTHER_KEY.id
        assert "k" * 32 not in repr(KEY)


def in_order(lines: list[bytes]) -> VerifiedChain:
    """As somebody verifies them who has no key."""
    return verify([Line(f"f:{number}", text) for number, text in enumerate(lines, start=1)], order_alone=True)


def test_without_the_key_of_sealed_events_their_order_is_verified_and_the_key_is_named():
    sealed = chain(key=KEY)
    found = in_order(sealed)

    assert found.problems == []
    assert f"was sealed with the key {KEY.id}, which was not given" in found.notes[0]
    assert in_order([*sealed[:2], *sealed[3:]]).problems == ["f:3: 1 event is missing between f:2 and here"]
    assert in_order(chain()).notes == []
    altered = chain()
    altered[2] = altered[2].replace(b"role-", b"rule-")
    assert in_order(altered).problems


def test_an_altered_event_does_not_pass_as_one_that_another_key_sealed():
    lines = chain()
    lines[2] = lines[2].replace(b"role-", b"rule-").replace(b',"hash":', b',"hashkey":"0123456789abcdef","hash":')

    assert any("was not sealed with the key of f:2" in each for each in in_order(lines).problems)
