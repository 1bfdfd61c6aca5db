"""Read the questions of the pages on who can read. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rolevend.access_ledger.selection import Selection
from rolevend.access_report.person import PersonQuestion
from rolevend.access_report.target import TABLE, AccessQuestion, AccessTarget, read_target
from rolevend.errors import InvalidInput

QUESTION: Final = ("table", "user", "agent", "platform", "purpose")
"""The fields."""
_PERSON: Final = "--user"
_LONGEST: Final = 300
"""Characters of a name: the search for similar ones takes long with more."""


def question_of(given: Mapping[str, str]) -> AccessQuestion:
    """Raises InvalidInput, which names the field."""
    text = _texts(given)
    selection = Selection(user=text["user"] or None, agent=text["agent"] or None)
    return AccessQuestion(read_target(text["table"]), selection, text["platform"] or None, text["purpose"] or None)


def person_question_of(given: Mapping[str, str]) -> PersonQuestion:
    """Raises InvalidInput, which names the field."""
    text = _texts(given)
    if not text["user"]:
        raise InvalidInput(_PERSON, "name a person")
    return PersonQuestion(text["user"], text["agent"] or None, text["platform"] or None, text["purpose"] or None, text["table"])


def picture_question_of(given: Mapping[str, str]) -> tuple[PersonQuestion, AccessTarget]:
    """Raises InvalidInput, which names the field."""
    return replace(person_question_of(given), tables=""), read_target(given.get("table", ""))


def _texts(given: Mapping[str, str]) -> dict[str, str]:
    text = {name: given.get(name, "").strip() for name in QUESTION}
    for name, value in text.items():
        if len(value) > _LONGEST:
            raise InvalidInput(TABLE if name == "table" else f"--{name}", f"has more than {_LONGEST} characters")
    return text
