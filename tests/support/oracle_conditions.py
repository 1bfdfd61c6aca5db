"""What conditions in CEL say of a request, said a second time: a few tests, each with its meaning, and what they are put together with.

Where a test reads what is not known, its answer is an error; one that is not needed for the answer does no harm, whichever side it is on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rolevend.model import Attributes, ObjectName

Answer = bool | None
"""None: an error."""
NOBODY = Attributes()
"""Of whom nothing is known."""


@dataclass(frozen=True)
class Asked:
    """Who asks, for whom and for what, as far as it is known."""

    user: Attributes = NOBODY
    subject: str | None = None
    agent: ObjectName | None = None
    agent_attributes: Attributes = NOBODY
    purpose: str | None = None
    seconds: int | None = None


def _values(of: Attributes, key: str) -> list[str] | None:
    return next((list(values) for known, values in of.items if known == key), None)


def _of(read: Callable[[Asked], object], says: Callable[..., bool]) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        known = read(asked)
        return None if known is None else says(known)

    return answer


OF_USERS: Mapping[str, Callable[[Asked], Answer]] = {
    "'DE' in user.attributes.countries": _of(lambda asked: _values(asked.user, "countries"), lambda values: "DE" in values),
    "size(user.attributes.levels) > 1": _of(lambda asked: _values(asked.user, "levels"), lambda values: len(values) > 1),
    "has(user.attributes.born)": lambda asked: _values(asked.user, "born") is not None,
    "user.attributes.flags.all(one, one == 'true')": _of(
        lambda asked: _values(asked.user, "flags"), lambda values: all(each == "true" for each in values)
    ),
    "user.attributes.department == ['claims']": _of(lambda asked: _values(asked.user, "department"), lambda values: values == ["claims"]),
    "user.subject.startsWith('ad')": _of(lambda asked: asked.subject, lambda subject: subject.startswith("ad")),
}
OF_ANYBODY: Mapping[str, Callable[[Asked], Answer]] = {
    "request.purpose == 'claims'": _of(lambda asked: asked.purpose, lambda purpose: purpose == "claims"),
    "request.purpose in ['audit', 'claims']": _of(lambda asked: asked.purpose, lambda purpose: purpose in ("audit", "claims")),
    "request.expirationSeconds <= 600": _of(lambda asked: asked.seconds, lambda seconds: seconds <= 600),
    "agent.name == 'assistant'": _of(lambda asked: asked.agent, lambda agent: agent.name == "assistant"),
    "agent.attributes.trust.exists(one, one == 'high')": _of(
        lambda asked: _values(asked.agent_attributes, "trust"), lambda values: "high" in values
    ),
    "has(agent.attributes.trust)": lambda asked: _values(asked.agent_attributes, "trust") is not None,
}
_TESTS = {**OF_USERS, **OF_ANYBODY}


def negated(text: str) -> str:
    return f"!({text})"


def both(one: str, other: str) -> str:
    return f"({one}) && ({other})"


def either(one: str, other: str) -> str:
    return f"({one}) || ({other})"


def chosen(test: str, one: str, other: str) -> str:
    return f"({test}) ? ({one}) : ({other})"


def answer(text: str, asked: Asked) -> Answer:
    """Of one of these tests, or of what the functions above make of some."""
    if text in _TESTS:
        return _TESTS[text](asked)
    if text.startswith("!"):
        said = answer(_part(text, 1), asked)
        return None if said is None else not said
    first = _part(text, 0)
    said, sign = answer(first, asked), text[len(first) + 3]
    second = _part(text, len(first) + (6 if sign in "&|" else 5))
    if sign == "?":
        third = text[len(first) + len(second) + 11 : -1]
        return None if said is None else answer(second if said else third, asked)
    decides = sign == "|"  # the answer that is enough
    answers = [said, answer(second, asked)]
    return decides if decides in answers else None if None in answers else not decides


def _part(text: str, start: int) -> str:
    """What the parenthesis at `start` holds."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if not depth:
            return text[start + 1 : place]
    raise AssertionError(text)
