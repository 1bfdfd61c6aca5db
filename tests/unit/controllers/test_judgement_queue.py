"""Which AccessRequest is judged next: none waits for all of another kind."""

from collections.abc import Iterable

from rolevend.controllers.judgement_queue import AT_ONCE, JudgementQueue
from rolevend.model import ObjectName

RANKS = {"approved": 0, "new": 1}


def name(text: str) -> ObjectName:
    return ObjectName("agents", text)


def queue() -> JudgementQueue:
    return JudgementQueue(lambda each: (RANKS.get(each.name.partition("-")[0], 2), each.name))


def taken(of: JudgementQueue, now: float = 0.0) -> list[str]:
    return [each.name for each in of.take(now)]


def all_taken(of: JudgementQueue, now: float = 0.0) -> list[list[str]]:
    found = []
    while each := taken(of, now):
        found.append(each)
    return found


def names(prefix: str, count: int) -> Iterable[ObjectName]:
    return [name(f"{prefix}-{number}") for number in range(count)]


def test_the_most_urgent_change_comes_first_also_if_it_came_last():
    changes = queue()
    changes.add_changed(names("new", 2))
    changes.add_changed([name("approved-0")])

    assert all_taken(changes) == [["approved-0", "new-0", "new-1"]]


def test_each_queue_has_its_turn():
    mixed = queue()
    mixed.add_changed(names("new", AT_ONCE + 1))
    mixed.add_at(name("used-0"), 1.0)
    mixed.add_at(name("used-1"), 2.0)
    mixed.add_pass(names("open", AT_ONCE + 2))

    assert all_taken(mixed, 1.5) == [
        [*(f"new-{number}" for number in range(AT_ONCE)), "used-0", *(f"open-{number}" for number in range(AT_ONCE))],
        [f"new-{AT_ONCE}", f"open-{AT_ONCE}", f"open-{AT_ONCE + 1}"],
    ]
    assert mixed.is_idle
    assert mixed.next_time == 2.0
    assert taken(mixed, 2.0) == ["used-1"]
    assert mixed.next_time is None


def test_a_request_is_judged_once_for_all_its_reasons():
    same = queue()
    same.add_changed([name("new-0"), name("new-0")])
    same.add_at(name("new-0"), 0.0)
    same.add_pass([name("new-0")])

    assert all_taken(same) == [["new-0"]]
    assert same.is_idle
    assert same.next_time is None


def test_the_last_time_that_was_said_holds():
    moved = queue()
    moved.add_at(name("new-0"), 1.0)
    moved.add_at(name("new-0"), 3.0)

    assert moved.next_time == 3.0
    assert taken(moved, 2.0) == []
    assert taken(moved, 3.0) == ["new-0"]


def test_a_change_during_a_pass_is_not_lost():
    changed = queue()
    changed.add_pass([name("new-0")])
    assert taken(changed) == ["new-0"]
    changed.add_changed([name("new-0")])

    assert not changed.is_idle
    assert taken(changed) == ["new-0"]
