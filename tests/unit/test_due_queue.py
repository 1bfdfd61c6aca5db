"""The clock names what is due, once, in order, whatever was put, moved and taken away before."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rolevend.due_queue import DueQueue
from rolevend.model import Uid

START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def test_nothing_is_due_before_its_time_and_everything_once_after_it():
    expiries = DueQueue[Uid, datetime]()
    for name, seconds in (("b", 2), ("a", 1), ("c", 3)):
        expiries.put(Uid(name), at(seconds))

    assert expiries.next_due() == at(1)
    assert expiries.pop_due(at(0)) == []
    assert expiries.pop_due(at(2)) == [("a", at(1)), ("b", at(2))]
    assert expiries.pop_due(at(2)) == []
    assert len(expiries) == 1


def test_whoever_waits_is_told_only_of_what_comes_earlier():
    expiries = DueQueue[Uid, datetime]()

    assert expiries.put(Uid("a"), at(5))
    assert not expiries.put(Uid("b"), at(6))
    assert not expiries.put(Uid("a"), at(5)), "nothing changed"
    assert expiries.put(Uid("b"), at(1)), "moved to the front"


def test_what_was_taken_away_is_never_due_and_may_come_back():
    expiries = DueQueue[Uid, datetime]()
    expiries.put(Uid("a"), at(1))
    expiries.remove(Uid("a"))
    expiries.remove(Uid("never there"))

    assert expiries.next_due() is None
    expiries.put(Uid("a"), at(2))
    assert expiries.pop_due(at(9)) == [("a", at(2))]


_CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "pop"]), st.sampled_from("abcde"), st.integers(min_value=0, max_value=20)), max_size=60
)


@given(_CHANGES)
def test_it_is_a_table_of_times_that_is_read_from_the_front(changes: list[tuple[str, str, int]]):
    expiries, table = DueQueue[Uid, datetime](), dict[Uid, datetime]()
    for change, name, seconds in changes:
        uid, moment = Uid(name), at(seconds)
        match change:
            case "put":
                expiries.put(uid, moment)
                table[uid] = moment
            case "remove":
                expiries.remove(uid)
                table.pop(uid, None)
            case "pop":
                due = sorted((when, each) for each, when in table.items() if when <= moment)
                assert expiries.pop_due(moment) == [(each, when) for when, each in due]
                table = {each: when for each, when in table.items() if when > moment}
        assert expiries.next_due() == min(table.values(), default=None)
        assert len(expiries) == len(table)


def test_an_entry_that_is_moved_again_and_again_takes_no_memory():
    moved = DueQueue[str, float]()
    for number in range(10_000):
        moved.put(f"new-{number % 10}", 1.0 + number)

    assert len(moved._heap) <= 2 * 10 + 101
    assert [key for key, _ in moved.pop_due(20_000.0)] == [f"new-{number}" for number in range(10)]
    assert moved.pop(20_000.0) is None
