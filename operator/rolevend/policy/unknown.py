"""Words of a policy that nothing answers to: tags that no data carries, attributes that nobody has. Told with what was meant, perhaps."""

from collections.abc import Iterable, Iterator

from rolevend.catalog import matches
from rolevend.policy.near import meant
from rolevend.policy.postings import Postings, Words
from rolevend.policy.requirement import Requirement
from rolevend.policy.statement import Guardrail, Policy, selectors


class Vocabulary:
    """The tags of a catalog, per reach: another namespace's words are not ours to tell."""

    def __init__(self, postings: Postings) -> None:
        self._postings = postings
        self._of: dict[frozenset[str] | None, tuple[Words, Words]] = {}

    def after(self, postings: Postings, schemas: frozenset[str]) -> "Vocabulary":
        """Of a catalog in which nothing but tables of these schemas is another."""
        made = Vocabulary(postings)
        made._of = {reach: known for reach, known in self._of.items() if reach is not None and reach.isdisjoint(schemas)}
        return made

    def within(self, schemas: frozenset[str] | None) -> tuple[Words, Words]:
        """Those of tables, and those of columns; None: of all schemas."""
        if schemas not in self._of:
            self._of[schemas] = self._postings.words(schemas)
        return self._of[schemas]


def unknown_tags(said: Policy | Guardrail, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    """Field and message for each."""
    of_tables, of_columns = selectors(said)
    tables, columns = vocabulary.within(said.schemas if isinstance(said, Policy) else None)
    for field, requirements in of_tables:
        yield from _unknown(field, "table", requirements, tables)
    for field, requirements in of_columns:
        yield from _unknown(field, "column", requirements, columns)


def unknown_attributes(reads: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """A message for each of `reads` that is not `known`. Values are not looked at: they are not for every author of a policy to see."""
    there = sorted(set(known))
    for key in sorted(set(reads).difference(there)):
        yield f"no accepted UserAttributes has the attribute {key}{meant(key, there)}"


def _unknown(field: str, what: str, requirements: Iterable[Requirement], known: Words) -> Iterator[tuple[str, str]]:
    for requirement in requirements:
        keys = [key for key in known if matches(requirement.key, key)]
        if not keys:
            yield field, f"{field}: no {what} in reach carries the tag {requirement.key}{meant(requirement.key, known)}"
            continue
        there = set().union(*(known[key] for key in keys))
        for value in sorted(requirement.values):
            if not any(matches(value, each) for each in there):
                wrong = f"{field}: no {what} in reach carries the tag {requirement.key} with the value {value}"
                yield field, f"{wrong}{meant(value, there)}"
