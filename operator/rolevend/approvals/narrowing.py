"""Read the options of a vote, and compare them with the request: fewer tables, stronger masks, a shorter role. Pure.

A narrowing that names something unknown is refused: a misspelled mask would mask nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from rolevend.approvals import wording
from rolevend.approvals.details import RequestDetails
from rolevend.approvals.wording import span
from rolevend.catalog import matches
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy
from rolevend.kinds.access_policy import MaskRule
from rolevend.kinds.parse import parse_part
from rolevend.kinds.vended_role import TableName
from rolevend.policy.vocabulary import closest

FOR, TABLES, MASK = "--for", "--tables", "--mask"

MOST_MASKS: Final = 16
"""Of one vote, as the AccessDecision has them."""
_SHORTEST: Final = 5
_SPAN: Final = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s?)?")
_SECONDS: Final = (86_400, 3_600, 60, 1)
NAME_PART: Final = r'(?:"(?:[^"]|"")+"|[^".,\s]+)'
_TABLE: Final = re.compile(rf"\s*({NAME_PART})\.({NAME_PART})\s*")
_LIST: Final = re.compile(rf"\s*{NAME_PART}\.{NAME_PART}\s*(?:,\s*{NAME_PART}\.{NAME_PART}\s*)*")
_PARAMETERS: Final = {
    "Partial": ("partial", "keepLast", "the number of characters to keep, as in Partial(4)"),
    "Round": ("round", "step", "the step, as in Round(100)"),
    "DateTrunc": ("dateTrunc", "unit", "Year, Quarter or Month, as in DateTrunc(Year)"),
    "Constant": ("constant", "value", "the value, as in Constant(hidden)"),
    "Hash": None,
    "Nullify": None,
}
_MASK: Final = re.compile(r"(?P<column>.+?)=(?P<type>[A-Za-z]+)(?:\((?P<value>.*)\))?")
_UNITS: Final = ("Year", "Quarter", "Month")
_LONGEST_MASK: Final = 512
"""Characters, with the longest column in quotes and the longest constant. The time to match grows with the square of a text."""


@dataclass(frozen=True, slots=True)
class VoteNarrowing:
    """The part of a request that an approver approves. None, and (): all of it."""

    seconds: int | None = None
    tables: tuple[TableName, ...] | None = None
    masks: tuple[MaskRule, ...] = ()


def read_seconds(text: str) -> int:
    """Read `600`, `90s`, `10m` or `1h30m`."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise InvalidInput(FOR, f"{text!r} is no time; write it as 10m, 90s or 1h30m")
    seconds = sum(int(number or 0) * size for number, size in zip(found.groups(), _SECONDS, strict=True))
    if seconds < _SHORTEST:
        raise InvalidInput(FOR, f"{text} is too short for a role; write at least {_SHORTEST}s")
    return seconds


def read_tables(text: str) -> tuple[TableName, ...]:
    """Read `schema.table,schema.table`. A name with a dot, a comma or a space is in double quotes."""
    if _LIST.fullmatch(text) is None:
        raise InvalidInput(TABLES, f"{text!r} names no tables; write schema.table, with a comma between two")
    try:
        found = [parse_part(TableName, {"schema": unquoted(schema), "table": unquoted(table)}) for schema, table in _TABLE.findall(text)]
    except InvalidInput as error:
        raise InvalidInput(TABLES, f"{text}: {error}") from error
    return tuple(dict.fromkeys(found))


def read_mask(text: str, number: int) -> MaskRule:
    """Read `COLUMN=TYPE(PARAMETER)`. `number` makes the name of the rule unique."""
    if len(text) > _LONGEST_MASK:
        raise InvalidInput(MASK, f"a mask of {len(text):,} characters is too long; write at most {_LONGEST_MASK}")
    found = _MASK.fullmatch(text)
    if found is None:
        raise InvalidInput(MASK, f"{text!r} is no mask; write COLUMN=TYPE, as in ssn='Partial(4)'")
    spelled = {each.lower(): each for each in _PARAMETERS}
    kind = spelled.get(found["type"].lower())
    if found["type"].lower() == "regex":
        raise InvalidInput(MASK, "a mask of the type Regex needs an AccessDecision in YAML: add --dry-run, edit it, and kubectl create it")
    if kind is None:
        known = ", ".join(_PARAMETERS)
        raise InvalidInput(MASK, f"{found['type']} is no type of mask; there are {known}{closest(found['type'], _PARAMETERS)}")
    body = {"name": f"mask-{number}", "columns": {"matchNames": [unquoted(found["column"])]}, "type": kind}
    try:
        return parse_part(MaskRule, {**body, **_parameter(kind, found["value"])})
    except InvalidInput as error:
        raise InvalidInput(MASK, f"{text}: {error}") from error


def _parameter(kind: str, value: str | None) -> dict[str, Any]:
    parameter = _PARAMETERS[kind]
    if parameter is None:
        if value is not None:
            raise InvalidInput(kind, "takes no parameter; remove the parentheses")
        return {}
    part, member, meaning = parameter
    if value is None:
        raise InvalidInput(kind, f"needs {meaning}")
    if kind == "Partial":
        if not value.strip().isdecimal():
            raise InvalidInput(kind, f"needs {meaning}")
        return {part: {member: int(value)}}
    if kind == "DateTrunc":
        value = next((each for each in _UNITS if each.lower() == value.strip().lower()), value)
    return {part: {member: value}}


def unquoted(part: str) -> str:
    if len(part) > 1 and part[0] == part[-1] == '"':
        return part[1:-1].replace('""', '"')
    return part


def compare(wanted: VoteNarrowing, found: RequestDetails) -> tuple[VoteNarrowing, tuple[str, ...]]:
    """Return the narrowing within the request, and notes. Raises InvalidInput for tables and columns that are not requested."""
    notes = []
    seconds = wanted.seconds
    if seconds is not None and seconds > found.longest_seconds:
        asked = found.request.spec.expiration_seconds
        source = "was requested" if found.longest_seconds == asked else "the offer permits"
        notes.append(f"{FOR} {span(seconds)} is longer than {source}: it is cut to {span(found.longest_seconds)}")
        seconds = found.longest_seconds
    for table in wanted.tables or ():
        _require_table(table, found)
    for mask in wanted.masks:
        for column in mask.columns.match_names or ():
            notes += _require_column(column, found)
    return VoteNarrowing(seconds, wanted.tables, wanted.masks), tuple(notes)


def named_tables(found: RequestDetails) -> tuple[TableName, ...]:
    """Return the tables that the request names; if it asks for all of the offer, those of the offer. Empty if patterns or tags select
    them."""
    if found.request.spec.tables is not None:
        return found.request.spec.tables
    selector = None if found.offer is None else found.offer.spec.tables
    named = () if selector is None or selector.match_tags is not None else selector.match_names or ()
    if any("*" in text for each in named for text in (each.schema_name, each.name)):
        return ()
    return tuple(TableName(schema_name=each.schema_name, table=each.name) for each in named)


def _require_table(table: TableName, found: RequestDetails) -> None:
    asked = found.request.spec.tables
    if asked is not None:
        if table not in asked:
            raise InvalidInput(TABLES, f"{wording.table(table)} is not requested{_did_you_mean(table, asked)}")
        return
    selector = None if found.offer is None else found.offer.spec.tables
    if selector is None or selector.match_names is None:
        return
    if not any(matches(each.schema_name, table.schema_name) and matches(each.name, table.table) for each in selector.match_names):
        offered = (f"{wording.name(each.schema_name)}.{wording.name(each.name)}" for each in selector.match_names)
        raise InvalidInput(TABLES, f"{wording.table(table)} is not in the offer{closest(wording.table(table), offered)}")


def _did_you_mean(table: TableName, asked: Iterable[TableName]) -> str:
    return closest(wording.table(table), map(wording.table, asked))


def _require_column(pattern: str, found: RequestDetails) -> list[str]:
    """Return a note if nobody can tell here that the offer has the column."""
    asked = found.request.spec.columns
    if asked is not None:
        if not any(matches(pattern, column) for column in asked):
            raise InvalidInput(MASK, f"column {wording.name(pattern)} is not requested{closest(pattern, asked)}")
        return []
    offered = _offered_columns(found.offer)
    if offered is None or any("*" in each for each in offered):
        return [] if "*" in pattern else [f"check the name: if the offer has no column {wording.name(pattern)}, the mask changes nothing"]
    if not any(matches(pattern, column) for column in offered):
        raise InvalidInput(MASK, f"column {wording.name(pattern)} is not in the offer{closest(pattern, offered)}")
    return []


def _offered_columns(offer: AccessPolicy | None) -> tuple[str, ...] | None:
    """Return the names and patterns of the granted columns. None: tags select them."""
    return None if offer is None else offer.spec.columns.match_names
