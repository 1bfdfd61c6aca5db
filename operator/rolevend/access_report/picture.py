"""One table for one person through one agent as a picture: policies, guardrails, and the result for each column. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from rolevend.access_report.answer import distinct
from rolevend.access_report.example_values import EXAMPLES, shown
from rolevend.access_report.person import PersonQuestion, chosen, explained_for, missing_piece, platforms_of, refusal_of, untried
from rolevend.access_report.reader import AccessSources
from rolevend.access_report.target import AccessTarget
from rolevend.catalog import Column, Table, TableId
from rolevend.decision.description import condition_words, mask_words, visible_rows
from rolevend.errors import InvalidInput
from rolevend.model import ObjectName, PlatformName, User
from rolevend.plan import Cell, ColumnShape, TableShape
from rolevend.policy.explanation import EVERY_ROW, Asked, PolicyOnTable, policies_on
from rolevend.policy.expression import Condition
from rolevend.policy.index import Index
from rolevend.policy.mask import Clear, Mask, Nullify, carries
from rolevend.policy.request_context import GrantTarget
from rolevend.policytools.decisions import ANY_AGENT, Requester
from rolevend.policytools.explain import COMBINES, Explained
from rolevend.policytools.offer_text import BY

_STATES = {True: "shown", False: "masked"}


@dataclass(frozen=True, slots=True)
class PolicyPicture:
    name: str
    target: str
    """`the person` or `the agent itself`."""
    asked: tuple[Asked, ...]
    off: str
    grants: bool
    rows: str
    masks: tuple[tuple[str, str], ...]
    """The columns that are granted, each with its mask in words."""


@dataclass(frozen=True, slots=True)
class CellPicture:
    where: str
    """The rows in words; empty: all that are left."""
    mask: str
    """In words: completes "the column shows"."""
    value: str | None
    """The example as it is shown; None: NULL."""


@dataclass(frozen=True, slots=True)
class ColumnPicture:
    name: str
    type: str
    state: str
    """`shown`, `masked` or `hidden`."""
    example: str
    cells: tuple[CellPicture, ...]


@dataclass(frozen=True, slots=True)
class TablePicture:
    platform: PlatformName
    seconds: int
    """The lifetime of the role that is explained."""
    refusal: str
    """The reason for nothing at all; or empty."""
    missing: str
    """The smallest missing piece; empty if the person gets the table."""
    combination: str
    """How grants to the agent itself count; empty if there are none."""
    policies: tuple[PolicyPicture, ...]
    guardrails: tuple[tuple[str, tuple[str, ...]], ...]
    """Those that concern the person, each with what it takes from this table."""
    rows: str
    columns: tuple[ColumnPicture, ...]
    offers: tuple[str, ...]
    clashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    user: User
    agent: ObjectName | None
    table: TableId
    pictures: tuple[TablePicture, ...]
    notes: tuple[str, ...]


def picture_answer(question: PersonQuestion, target: AccessTarget, sources: AccessSources) -> PictureAnswer:
    """Raises InvalidInput for a name that is misspelled, that nobody has, or that several have."""
    user, agent, notes = chosen(question, sources, target)
    pictures: list[TablePicture] = []
    for name, index in platforms_of(question.platform, sources):
        place = next((place for place, each in enumerate(index.tables) if each.id == target.table), None)
        if place is None:
            continue
        if pictures and question.is_over():
            notes.append(untried(name))
            continue
        found = explained_for(sources, Requester(user, agent or ANY_AGENT, name, question.purpose or ""))
        pictures.append(_picture(sources, found, index, place))
        notes += found.notes
    if not pictures:
        raise InvalidInput("--platform", f"no DataPlatform {question.platform or ''} with a known catalog has the table {target.table}")
    return PictureAnswer(user, agent, target.table, tuple(pictures), tuple(distinct([*notes, *sources.notes, *sources.unready])))


def _picture(sources: AccessSources, found: Explained, index: Index, place: int) -> TablePicture:
    table, explanation = index.tables[place], found.explanation
    shape = next((shape for shape, _ in found.tables if shape.table == table.id), None)
    refusal = refusal_of(sources, found)
    attributes = sources.built.snapshot.person(found.who.request).attributes if sources.built is not None else None
    on_table = () if attributes is None else policies_on(place, attributes, index, found.asking)
    of_agent = any(each.grants_to is GrantTarget.AGENTS for each in on_table)
    return TablePicture(
        platform=found.who.platform,
        seconds=found.who.seconds,
        refusal=refusal,
        missing="" if shape is not None or refusal else missing_piece(sources, found, index, place),
        combination=COMBINES[explanation.combination] if of_agent else "",
        policies=tuple(_policy(each, table) for each in on_table),
        guardrails=tuple(
            (each.guardrail, tuple(taken.sentence for taken in each.takes if taken.table == table.id)) for each in explanation.guardrails
        ),
        rows="" if shape is None else visible_rows(shape, None) or EVERY_ROW,
        columns=tuple(_column(each, _shape_of(each, shape)) for each in table.columns),
        offers=tuple(_offers(found, table.id)),
        clashes=tuple(each.sentence for each in explanation.clashes if each.table == table.id),
    )


def _policy(each: PolicyOnTable, table: Table) -> PolicyPicture:
    target = "the person" if each.grants_to is GrantTarget.USERS else "the agent itself"
    name = "the agent's own tables" if each.own else str(each.policy)
    masks = tuple((name, mask_words(_carried(mask, table.column(name)))) for name, mask in each.grant.masks)
    return PolicyPicture(name, target, each.asked, each.off, each.grants, _rows(each.grant.condition), masks)


def _shape_of(column: Column, shape: TableShape | None) -> ColumnShape | None:
    return None if shape is None else next((each for each in shape.columns if each.name == column.name), None)


def _column(column: Column, shape: ColumnShape | None) -> ColumnPicture:
    example = EXAMPLES[column.family]
    if shape is None:
        return ColumnPicture(column.name, column.native_type, "hidden", example, ())
    cells = [_cell(each, column) for each in shape.cells]
    if shape.cells[-1].conditions:
        cells.append(CellPicture("", mask_words(Nullify()), None))
    return ColumnPicture(column.name, column.native_type, _STATES[shape.is_clear], example, tuple(cells))


def _cell(cell: Cell, column: Column) -> CellPicture:
    tests = [" or ".join(map(_rows, each)) for each in (cell.conditions, cell.also) if each]
    where = " and ".join(f"({each})" for each in tests) if len(tests) > 1 else "".join(tests)
    mask = _carried(cell.mask, column)
    return CellPicture(where, mask_words(mask), shown(mask, column))


def _carried(mask: Mask, column: Column | None) -> Mask:
    return mask if column is None or mask == Clear() or carries(mask, column.family, column.limits) else Nullify()


def _rows(condition: Condition) -> str:
    return EVERY_ROW if condition.predicate is None else condition_words(condition.predicate, None)


def _offers(found: Explained, table: TableId) -> Iterator[str]:
    for offer in found.offers:
        if any(each.table == table for each in offer.effect.profile.tables):
            yield f"AccessPolicy {offer.terms.offer}: {offer.terms.display}, {BY[offer.how]}"
