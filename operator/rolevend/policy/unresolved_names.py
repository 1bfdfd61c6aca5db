"""Find names, tags and attributes in a policy that do not exist, and suggest similar ones."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from rolevend.catalog import Table, TableId, matches
from rolevend.policy.bitmap import places
from rolevend.policy.postings import Postings
from rolevend.policy.requirement import Requirement
from rolevend.policy.statement import Guardrail, Policy, column_selectors, reach_of, tag_selectors
from rolevend.policy.statement_matches import TABLES
from rolevend.policy.tags import Words
from rolevend.policy.vocabulary import closest, near

_Both = tuple[Words, Words]
"""The words of tables, and those of columns."""


class Vocabulary:
    """The tags of a catalog, per scope: a message must not reveal another namespace's tags."""

    def __init__(self, postings: Postings) -> None:
        self._postings = postings
        self._of: dict[frozenset[str] | None, _Both] = {}

    def after(self, postings: Postings, old: Postings, new: Postings, schemas: frozenset[str]) -> "Vocabulary":
        """Return the vocabulary after the tables of `new` replaced those of `old`, all of them in `schemas`."""
        made = Vocabulary(postings)
        had, have = old.words(None), new.words(None)
        same = not any(map(_less, had, have))
        for reach, known in self._of.items():
            beyond = reach is not None and reach.isdisjoint(schemas)
            if beyond or (same and all(map(_holds, known, have))):
                made._of[reach] = known
            else:
                made._of[reach] = made._mended(reach, known, old.words(reach), new.words(reach))
        return made

    def _mended(self, reach: frozenset[str] | None, known: _Both, old: _Both, new: _Both) -> _Both:
        left = _less(old[0], new[0]), _less(old[1], new[1])
        still = self._postings.words(reach, left) if any(left) else left
        tables, columns = (_more(_less(known[each], _less(left[each], still[each])), new[each]) for each in range(2))
        return tables, columns

    def __len__(self) -> int:
        """The number of cached scopes."""
        return len(self._of)

    def within(self, schemas: frozenset[str] | None) -> _Both:
        """Return the tags within `schemas`; None: in all schemas."""
        if schemas not in self._of:
            self._of[schemas] = self._postings.words(schemas)
        return self._of[schemas]


def unknown_tags(statement: Policy | Guardrail, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Yield field and message for each unknown tag."""
    of_tables, of_columns = tag_selectors(statement)
    tables, columns = vocabulary.within(reach_of(statement))
    for field, requirements in of_tables:
        yield from _unknown(field, "table", requirements, tables)
    for field, requirements in of_columns:
        yield from _unknown(field, "column", requirements, columns)


def unknown_names(statement: Policy | Guardrail, selected: int, postings: Postings, tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    """Yield field and message for each unknown name.

    `selected` are the selected ones of `tables`. Column names are checked only if there are any.
    """
    reach = reach_of(statement)
    here = postings.within(reach)
    for number, name in enumerate(statement.tables.names):
        if not postings.named(name) & here:
            there = [table.id for table in tables if reach is None or table.id.schema in reach]
            schemas = {each.schema for each in there} if reach is None else reach
            field = f"{TABLES}.matchNames[{number}]"
            yield field, f"{field}: {no_table(name, there, schemas)}"
    if not selected:
        return
    for place, selector in column_selectors(statement):
        for number, column in enumerate(selector.names):
            if not postings.having(postings.kinds_named(column)) & selected:
                names = {each.name for table in places(selected) for each in tables[table].columns}
                field = f"{place}.matchNames[{number}]"
                yield field, f"{field}: {no_column(column, names)}"


def no_table(name: TableId, there: Iterable[TableId], schemas: Collection[str]) -> str:
    """Return the message for a pattern that matches none of the tables `there`, in `schemas`."""
    if not any(matches(name.schema, schema) for schema in schemas):
        return f"no schema in reach is named {name.schema}{closest(name.schema, schemas)}"
    spelled = {each.name: each for each in there if matches(name.schema, each.schema)}
    found = near(name.name, spelled)  # without the schema, which matches
    return f"no table in reach is named {name}" + (f"; did you mean {spelled[found]}?" if found else "")


def no_column(name: str, there: Iterable[str]) -> str:
    """Return the message for a pattern that matches none of the columns `there`."""
    return f"no column of these tables is named {name}{closest(name, there)}"


def unknown_attributes(reads: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """Yield a message for each of `reads` that is not `known`. Values are not checked: an author of a policy must not see them."""
    there = sorted(set(known))
    for key in sorted(set(reads).difference(there)):
        yield f"no accepted UserAttributes has the attribute {key}{closest(key, there)}"


def _holds(words: Words, others: Words) -> bool:
    """True if `words` contains all of `others`."""
    return all(values <= words.get(key, set()) for key, values in others.items())


def _less(words: Words, others: Words) -> Words:
    """Return `words` without `others`."""
    if not others:
        return words
    return {key: left for key, values in words.items() if (left := values.difference(others.get(key, ())))}


def _more(words: Words, others: Words) -> Words:
    """Return the union."""
    return words | {key: values.union(words.get(key, ())) for key, values in others.items()}


def _unknown(field: str, what: str, requirements: Iterable[Requirement], known: Words) -> Iterator[tuple[str, str]]:
    for requirement in requirements:
        keys = [key for key in known if matches(requirement.key, key)]
        if not keys:
            yield field, f"{field}: no {what} in reach carries the tag {requirement.key}{closest(requirement.key, known)}"
            continue
        there = set().union(*(known[key] for key in keys))
        for value in sorted(requirement.values):
            if not any(matches(value, each) for each in there):
                wrong = f"{field}: no {what} in reach carries the tag {requirement.key} with the value {value}"
                yield field, f"{wrong}{closest(value, there)}"
