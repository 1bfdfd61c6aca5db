"""How long building a snapshot of very many people holds up the operator's event loop: when one of them changes, and when none does.

`python -m bench.snapshot [--quick]`, from the repository's root.
"""

from dataclasses import replace
from typing import Any

from bench.lines import Line, absolute, ms, quick, settled, table, timed
from rolevend.kinds import AccessPolicy, UserAttributes, parse
from rolevend.snapshot.builder import SnapshotBuilder, SnapshotInputs
from tests.support.manifests import Body
from tests.support.painted import CLUSTER, KEY, OBJECTS, STATES, raw

_FULL, _QUICK = 10_000, 1_000
"""People."""
_POLICIES, _KEYS, _VALUES = 200, 20, 20
_BUDGET = 0.5
"""Seconds: shorter than the timeouts of a probe and of a request."""


def main() -> None:
    people = [_person(number) for number in range(_QUICK if quick() else _FULL)]
    table("Pictures", [settled(lambda: _changed(people), tries=5), settled(lambda: _same(people), tries=5)])


def _changed(people: list[UserAttributes]) -> Line:
    painter, objects = _painted(people)
    moved = parse(UserAttributes, _raw_person(0, generation=2, shift=1))
    seconds = timed(lambda: painter.build(replace(objects, people=[moved, *people[1:]]), STATES, ""))
    return _line("one person of {} changed", len(people), seconds)


def _same(people: list[UserAttributes]) -> Line:
    painter, objects = _painted(people)
    return _line("something else than the {} people changed", len(people), timed(lambda: painter.build(objects, STATES, "")))


def _line(what: str, people: int, seconds: float) -> Line:
    shown = f"{what.format(f'{people:,}')}, {_POLICIES} policies count them"
    return absolute(shown, ms(seconds), f"< {ms(_BUDGET)}", seconds / _BUDGET).judged_if(people == _FULL)


def _painted(people: list[UserAttributes]) -> tuple[SnapshotBuilder, SnapshotInputs]:
    objects = replace(OBJECTS, people=people, policies=[_policy(number) for number in range(_POLICIES)])
    painter = SnapshotBuilder(CLUSTER, KEY)
    painter.build(objects, STATES, "")
    return painter, objects


def _person(number: int) -> UserAttributes:
    return parse(UserAttributes, _raw_person(number))


def _raw_person(number: int, *, generation: int = 1, shift: int = 0) -> Body:
    attributes = [{"key": f"key-{key}", "values": [f"value-{(number * 7 + key + shift) % _VALUES}"]} for key in range(_KEYS)]
    user = {"issuer": "https://idp.example.org", "subject": f"person-{number}"}
    spec = (("spec.user", user), ("spec.handle", f"P{number}"), ("spec.attributes", attributes))
    return raw("UserAttributes", f"person-{number}", "", *spec, generation=generation)


def _policy(number: int) -> AccessPolicy:
    users = [
        {"key": f"key-{(number + place) % _KEYS}", "operator": operator, "values": [f"value-{(number + place) % _VALUES}"]}
        for place, operator in enumerate(("In", "NotIn", "NotIn"))
    ]
    changes: tuple[tuple[str, Any], ...] = (
        ("spec.users", {"matchAttributes": users}),
        ("spec.rowFilter", "country = 'DE'"),
        ("spec.masks", []),
    )
    return parse(AccessPolicy, raw("AccessPolicy", f"policy-{number}", "domain-claims", *changes))


if __name__ == "__main__":
    main()
