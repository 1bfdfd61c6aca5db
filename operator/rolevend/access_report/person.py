"""The tables that one person gets through an agent, and for each other table the smallest missing piece. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, TypeVar

from rolevend.access_ledger.selection import Selection
from rolevend.access_report.answer import distinct
from rolevend.access_report.names import check_names
from rolevend.access_report.possible import acting_names, proven
from rolevend.access_report.reader import AccessSources, known_names
from rolevend.access_report.target import AccessTarget, never
from rolevend.audit.evidence import TableAccess, tables_of
from rolevend.catalog import TableId
from rolevend.decision.description import visible_rows
from rolevend.errors import InvalidInput
from rolevend.model import Attributes, ObjectName, PlatformName, User
from rolevend.policy.explanation import grants_table, requirement_text, smallest_step_to
from rolevend.policy.index import CompiledPolicy, Index
from rolevend.policy.request_context import GrantTarget
from rolevend.policy.requirement import facts_of, meets
from rolevend.policytools.decisions import ANY_AGENT, SECONDS, Requester
from rolevend.policytools.explain import Explained, explained_in
from rolevend.policytools.offer_text import BY
from rolevend.snapshot.builder import SnapshotBuild

T = TypeVar("T")

MOST_TABLES: Final = 200
"""That are granted, and that are not: of one platform, each."""
_NOBODY: Final = "no policy grants it to people"


@dataclass(frozen=True, slots=True)
class PersonQuestion:
    user: str
    """Subject, `subject (issuer)`, or handle."""
    agent: str | None = None
    """`namespace/name`, name, or handle. None: any agent that is admitted, and may act for every user."""
    platform: str | None = None
    purpose: str | None = None
    tables: str = ""
    """A part of the name of each table."""
    is_over: Callable[[], bool] = never
    """As of `AccessQuestion`."""


@dataclass(frozen=True, slots=True)
class PersonTable:
    table: TableId
    asking: tuple[str, ...]
    """The offers that show it to the person."""
    access: TableAccess | None = None
    """None: the person does not get it."""
    rows: str = ""
    """The visible rows in words; empty: every row."""
    hidden: tuple[str, ...] = ()
    """The columns of the table that the person does not get."""
    policies: tuple[str, ...] = ()
    missing: str = ""
    """The smallest missing piece, of a table that the person does not get."""


@dataclass(frozen=True, slots=True)
class PersonPlatform:
    name: PlatformName
    refusal: str
    """The reason for nothing at all; or empty."""
    granted: tuple[PersonTable, ...]
    others: tuple[PersonTable, ...]
    """Those that some policy or offer grants to somebody."""
    left_out: int
    """How many more tables there are of both."""
    tools: tuple[str, ...]
    seconds: int
    """The lifetime of the role that is judged."""


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    user: User
    agent: ObjectName | None
    platforms: tuple[PersonPlatform, ...]
    notes: tuple[str, ...]


def person_answer(question: PersonQuestion, sources: AccessSources) -> PersonAnswer:
    """Raises InvalidInput for a name that is misspelled, that nobody has, or that several have."""
    user, agent, notes = chosen(question, sources)
    platforms = []
    for name, index in platforms_of(question.platform, sources):
        if question.is_over():
            notes.append(untried(name))
            continue
        found = explained_for(sources, Requester(user, agent or ANY_AGENT, name, question.purpose or ""))
        platforms.append(_platform(sources, found, index, question))
        notes += found.notes
    return PersonAnswer(user, agent, tuple(platforms), tuple(distinct([*notes, *sources.notes, *sources.unready])))


def untried(name: PlatformName) -> str:
    return f"not tried: DataPlatform {name}, because that took too long; choose one"


def chosen(
    question: PersonQuestion, sources: AccessSources, target: AccessTarget | None = None
) -> tuple[User, ObjectName | None, list[str]]:
    """Return the one user and the one agent of these names, and notes; `target` is a table to check, too. Raises InvalidInput."""
    selection = Selection(user=question.user, agent=question.agent)
    snapshot = _built(sources).snapshot
    known = known_names(sources, snapshot)
    notes = check_names(known, target, sources.catalogs, selection, question.purpose, question.platform)
    of_user, of_agent = replace(selection, agent=None), replace(selection, user=None)
    users = [each for each in sorted(snapshot.people) if of_user.of_people(acting_names(snapshot, user=each))]
    agents = [each for each in sorted(snapshot.agents) if of_agent.of_people(acting_names(snapshot, each))]
    user = _only("--user", f"accepted UserAttributes names {question.user}", users)
    return user, None if question.agent is None else _only("--agent", f"accepted Agent is named {question.agent}", agents), notes


def _only(field_name: str, sentence: str, found: Sequence[T]) -> T:
    if not found:
        raise InvalidInput(field_name, f"no {sentence}")
    if len(found) > 1:
        raise InvalidInput(field_name, f"more than one {sentence}; write one of {', '.join(map(str, found[:3]))}")
    return found[0]


def platforms_of(wanted: str | None, sources: AccessSources) -> Iterator[tuple[PlatformName, Index]]:
    """Yield the platforms whose catalog is known. Raises InvalidInput if there is none."""
    shapes = _built(sources).snapshot.shapes
    names = [each for each in sorted(shapes) if wanted in (None, each)]
    if not names:
        raise InvalidInput("--platform", f"what DataPlatform {wanted or 'any'} holds is not known")
    yield from ((each, shapes[each].index) for each in names)


def explained_for(sources: AccessSources, who: Requester) -> Explained:
    """Explain a request: through an agent of the cluster as the platform admits it, otherwise through an agent that may do everything."""
    built = _built(sources)
    if who.agent == ANY_AGENT:
        return explained_in(built, who)
    seconds = min(SECONDS, built.snapshot.agents[who.agent].longest_seconds)
    return explained_in(built, proven(built.snapshot, replace(who, seconds=seconds)), "")


def refusal_of(sources: AccessSources, found: Explained) -> str:
    """Return the reason why the agent gets nothing at all on the platform; or empty."""
    blocked = None if found.who.agent == ANY_AGENT else _built(sources).snapshot.blocked(found.who.request, role_exists=True)
    return found.refusal if blocked is None else blocked.message


def missing_piece(sources: AccessSources, found: Explained, index: Index, place: int) -> str:
    """Return the smallest change that would grant the table of this index to the person, or the reason why there is none."""
    table, explanation, request = index.tables[place].id, found.explanation, found.who.request
    snapshot = _built(sources).snapshot
    guardrails = [each.guardrail for each in explanation.guardrails if any(taken.sentence == f"{table}: not there" for taken in each.takes)]
    if guardrails:
        return f"Guardrail {', '.join(guardrails)} takes it away"
    if any(table in each.alone for each in explanation.policies):
        return "the agent reads only what both the person and it itself are granted, and only one of them is granted it"
    attributes = snapshot.person(request).attributes
    step = smallest_step_to(place, attributes, index, found.asking)
    is_granted = not step and any(each.grants_to is GrantTarget.USERS and grants_table(each, place) for each in index.policies)
    if is_granted and explanation.denial is not None:
        return explanation.denial.message
    return step or _smallest_offer(index, place, attributes) or _NOBODY


def _smallest_offer(index: Index, place: int, attributes: Attributes) -> str:
    lacks = [(each.id, _lacks(each, attributes)) for each in index.offers if grants_table(each, place)]
    near = min(((len(lacking), name, lacking) for name, lacking in lacks if lacking), default=None)
    return "" if near is None else f"to ask for it: offer {near[1]} asks for {' and '.join(near[2])}"


def _lacks(policy: CompiledPolicy, attributes: Attributes) -> tuple[str, ...]:
    return tuple(requirement_text(each) for each in policy.users if not meets(each, facts_of(attributes)))


def _platform(sources: AccessSources, found: Explained, index: Index, question: PersonQuestion) -> PersonPlatform:
    refusal, shapes = refusal_of(sources, found), {shape.table: shape for shape, _ in found.tables}
    part, policies = question.tables.casefold(), (*index.policies, *index.offers)
    somebody = [
        place
        for place, each in enumerate(index.tables)
        if part in str(each.id).casefold() and any(grants_table(policy, place) for policy in policies)
    ]
    got = [place for place in somebody if index.tables[place].id in shapes]
    others = [place for place in somebody if index.tables[place].id not in shapes]
    asking, granting = _asking(found), _granting(found)
    granted: list[PersonTable] = []
    for place in takewhile(lambda _: not question.is_over(), got[:MOST_TABLES]):
        table = index.tables[place]
        shape = shapes[table.id]
        shown = {each.name for each in shape.columns}
        granted.append(
            PersonTable(
                table.id,
                asking.get(table.id, ()),
                tables_of([shape])[0],
                visible_rows(shape, None),
                tuple(each.name for each in table.columns if each.name not in shown),
                granting.get(table.id, ()),
            )
        )
    refused = [
        PersonTable(
            index.tables[place].id,
            asking.get(index.tables[place].id, ()),
            missing=missing_piece(sources, found, index, place),
        )
        for place in takewhile(lambda _: not question.is_over(), () if refusal else others[:MOST_TABLES])
    ]
    left_out = 0 if refusal else len(somebody) - len(granted) - len(refused)
    tools = tuple(map(str, (*found.functions, *found.tools)))
    return PersonPlatform(found.who.platform, refusal, tuple(granted), tuple(refused), left_out, tools, found.who.seconds)


def _granting(found: Explained) -> dict[TableId, tuple[str, ...]]:
    by_table: dict[TableId, tuple[str, ...]] = {}
    for policy in found.explanation.policies:
        for table in dict.fromkeys(each.table for each in policy.granted):
            by_table[table] = (*by_table.get(table, ()), str(policy.policy))
    return by_table


def _asking(found: Explained) -> dict[TableId, tuple[str, ...]]:
    by_table: dict[TableId, tuple[str, ...]] = {}
    for offer in found.offers:
        text = f"AccessPolicy {offer.terms.offer}, {BY[offer.how]}"
        for shape in offer.effect.profile.tables:
            by_table[shape.table] = (*by_table.get(shape.table, ()), text)
    return by_table


def _built(sources: AccessSources) -> SnapshotBuild:
    if sources.built is None:
        raise InvalidInput("", "policies are not judged, because you may not read them")
    return sources.built
