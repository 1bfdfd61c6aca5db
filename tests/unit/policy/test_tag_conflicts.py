"""Where two TagBindings say different values of one key for the same data both count, and both are told: neither wins without a word."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from rolevend.catalog import TagAssignment
from rolevend.kinds import TagBinding
from rolevend.model import Tag
from rolevend.policy.tags import TagConflict, tag_conflicts
from rolevend.snapshot.builder import SnapshotBuild, SnapshotBuilder
from tests.support.manifests import Body
from tests.support.painted import CLUSTER, KEY, OBJECTS, STATES, made, message, paint, said
from tests.support.policies import catalog, column, table

DOMAIN = "domain-claims"


def columns(pattern: str, *values: str, key: str = "pii") -> Body:
    return {"schema": "claims", "table": "*", "column": pattern, "tags": [{"key": key, "value": value} for value in values]}


def binding(name: str, *spelled: Body, tables: Sequence[Body] | None = None) -> TagBinding:
    found: TagBinding = made(TagBinding, name, DOMAIN, tables=tables, columns=list(spelled) or None)
    return found


def of(*bindings: TagBinding) -> SnapshotBuild:
    return paint(replace(OBJECTS, bindings=bindings))


def test_both_of_two_that_differ_are_told_where_and_of_whom():
    built = of(
        binding("one", columns("full_name", "name")), binding("two", columns("full_*", "none")), binding("three", columns("id", "x"))
    )

    assert said(built, "one", "TagsAgree") == said(built, "two", "TagsAgree") == ("False", "SeveralValues")
    assert message(built, "one", "TagsAgree").startswith(
        "claims.people.full_name has pii [name] from here, and [none] from domain-claims/two. All values count"
    )
    assert "pii [none] from here, and [name] from domain-claims/one" in message(built, "two", "TagsAgree")
    assert said(built, "three", "TagsAgree") == ("True", "Agree")
    assert said(built, "one", "Ready") == ("True", "InForce")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (columns("full_name", "name"), columns("full_name", "name")),
        (columns("full_name", "name"), columns("id", "id")),
        (columns("full_name", "name"), columns("full_name", "name", key="other")),
        (columns("full_name", "name", "person"), columns("full_name", "person", "name")),
    ],
    ids=["the same", "other columns", "other keys", "the same two"],
)
def test_who_says_the_same_or_something_of_other_data_agrees(one: Body, two: Body):
    built = of(binding("one", one), binding("two", two))

    assert said(built, "one", "TagsAgree") == said(built, "two", "TagsAgree") == ("True", "Agree")


def test_several_values_in_one_binding_are_meant():
    assert said(of(binding("one", columns("*", "name"), columns("full_name", "person"))), "one", "TagsAgree") == ("True", "Agree")


def test_tables_are_told_as_columns_are():
    tables = [[{"schema": "*", "name": "*", "tags": [{"key": "domain", "value": value}]}] for value in ("claims", "public")]

    built = of(*(binding(f"b{number}", tables=each) for number, each in enumerate(tables)))

    assert message(built, "b0", "TagsAgree").startswith("claims.people has domain [claims] from here, and [public] from domain-claims/b1")


def test_what_is_mended_is_told_by_the_next_picture():
    painter = SnapshotBuilder(CLUSTER, KEY)
    one, two = binding("one", columns("full_name", "name")), binding("two", columns("full_name", "none"))

    pictures = [painter.build(replace(OBJECTS, bindings=bindings), STATES, "") for bindings in ([one, two], [one, two], [one])]

    assert [said(each, "one", "TagsAgree")[0] for each in pictures] == ["False", "False", "True"]


def test_a_crowd_of_disagreements_is_not_looked_at_to_the_end():
    many = [table(f"claims.table_{number}", *(column(f"c{each}") for each in range(20))) for number in range(200)]
    assignments = {value: [TagAssignment("claims", "*", "*", frozenset({Tag("pii", value)}))] for value in ("a", "b")}
    tagged = catalog(*many).tagged(each for place in assignments.values() for each in place).tables.values()

    found = list(tag_conflicts(tagged, assignments))

    assert len(found) == 1_000
    assert found[0] == TagConflict("claims.table_0.c0", "pii", {"a": frozenset({"a"}), "b": frozenset({"b"})})
