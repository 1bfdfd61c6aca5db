"""Words of a policy that nothing answers to: names that nothing has, tags that no data carries, attributes that nobody has. Told with
what was meant, perhaps."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from rolevend.catalog import Table, TableId, matches
from rolevend.policy.bitmap import places
from rolevend.policy.postings import Postings
from rolevend.policy.requirement import Requirement
from rolevend.policy.statement import Guardrail, Policy, column_selectors, reach_of, tag_selectors
from rolevend.policy.statement_matches import TABLES
from rolevend.policy.suggestions import closest, near
from rolevend.policy.tag_index import Words

_Both = tuple[Words, Words]
"""Those of tables, and those of columns."""


class Vocabulary:
    """The tags of a catalog, per reach: another namespace's words are not ours to tell."""

    def __init__(self, postings: Postings) -> None:
        self._postings = postings
        self._of: dict[frozenset[str] | None, _Both] = {}

    def after(self, postings: Postings, old: Postings, new: Postings, schemas: frozenset[str]) -> "Vocabulary":
        """Of a catalog in which the tables of `new` are in the place of those of `old`, all of them in `schemas`."""
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
        """Of how many reaches they are known."""
        return len(self._of)

    def within(self, schemas: frozenset[str] | None) -> _Both:
        """None: of all schemas."""
        if schemas not in self._of:
            self._of[schemas] = self._postings.words(schemas)
        return self._of[schemas]


def unknown_tags(said: Policy | Guardrail, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Field and message for each."""
    of_tables, of_columns = tag_selectors(said)
    tables, columns = vocabulary.within(reach_of(said))
    for field, requirements in of_tables:
        yield from _unknown(field, "table", requirements, tables)
    for field, requirements in of_columns:
        yield from _unknown(field, "column", requirements, columns)


def unknown_names(said: Policy | Guardrail, selected: int, postings: Postings, tables: Sequence[Table]) -> Iterator[tuple[str, str]]:
    """Likewise. Of `tables`, with their `postings`, those are `selected` that its columns are of. Names of columns are told where there
    are any."""
    reach = reach_of(said)
    here = postings.within(reach)
    for number, name in enumerate(said.tables.names):
        if not postings.named(name) & here:
            there = [table.id for table in tables if reach is None or table.id.schema in reach]
            schemas = {each.schema for each in there} if reach is None else reach
            field = f"{TABLES}.matchNames[{number}]"
            yield field, f"{field}: {no_table(name, there, schemas)}"
    if not selected:
        return
    for place, selector in column_selectors(said):
        for number, column in enumerate(selector.names):
            if not postings.having(postings.kinds_named(column)) & selected:
                names = {each.name for table in places(selected) for each in tables[table].columns}
                field = f"{place}.matchNames[{number}]"
                yield field, f"{field}: {no_column(column, names)}"


def no_table(name: TableId, there: Iterable[TableId], schemas: Collection[str]) -> str:
    """What is told of a pattern that none of the tables that are `there`, in `schemas`, has for a name."""
    if not any(matches(name.schema, schema) for schema in schemas):
        return f"no schema in reach is named {name.schema}{closest(name.schema, schemas)}"
    spelled = {each.name: each for each in there if matches(name.schema, each.schema)}
    found = near(name.name, spelled)  # without the schema, which is the same
    return f"no table in reach is named {name}" + (f"; did you mean {spelled[found]}?" if found else "")


def no_column(name: str, there: Iterable[str]) -> str:
    """Likewise, of the names of the columns that are `there`."""
    return f"no column of these tables is named {name}{closest(name, there)}"


def unknown_attributes(reads: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """A message for each of `reads` that is not `known`. Values are not looked at: they are not for every author of a policy to see."""
    there = sorted(set(known))
    for key in sorted(set(reads).difference(there)):
        yield f"no accepted UserAttributes has the attribute {key}{closest(key, there)}"


def _holds(words: Words, others: Words) -> bool:
    """Whether `others` are all among them."""
    return all(values <= words.get(key, set()) for key, values in others.items())


def _less(words: Words, others: Words) -> Words:
    """Without `others`."""
    if not others:
        return words
    return {key: left for key, values in words.items() if (left := values.difference(others.get(key, ())))}


def _more(words: Words, others: Words) -> Words:
    """With `others`, too."""
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
