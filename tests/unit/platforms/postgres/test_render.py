"""What is sent to PostgreSQL, word for word."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from psycopg import sql

from rolevend.catalog import Family, FunctionId, Table, TableId
from rolevend.errors import InvalidInput
from rolevend.model import ClusterId, ProfileName
from rolevend.plan import Cell, Condition, Profile, TableShape, ViewComment
from rolevend.platforms.postgres.build.predicate import any_of, condition_text, predicate_text
from rolevend.platforms.postgres.build.render import render, roles, row_filter, template_of
from rolevend.platforms.postgres.types import type_name
from rolevend.policy.binding import bind
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Literal,
    Not,
    Operator,
    Or,
    Predicate,
)
from rolevend.policy.mask import Clear, Constant, Hash, Nullify, Partial
from tests.support.example_shapes import (
    COLUMNS,
    CUSTOMERS,
    ONE_GRANT,
    PROFILES,
    condition,
    equal,
    own,
    reference,
    shaped,
)
from tests.support.golden import golden
from tests.support.policies import EVERY_FAMILY, predicates

ROOT = Path(__file__).parents[4]
CLUSTER = ClusterId("5c0a7e1e-0000-4000-8000-000000000001")


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_built_with_these_words(name: str):
    rendered = render(Profile(ProfileName("rv_p_3f9a1c"), PROFILES[name]), CLUSTER)
    parts = [("make the roles", roles(rendered.templates))]
    parts += [(f"create template of {each.table}", each.create) for each in rendered.templates]
    if name == "one_grant":
        parts += [("renew the template", rendered.templates[0].renew), ("renew the profile", rendered.renew)]
    parts.append(("create the profile", rendered.create))
    golden(f"postgres_{name}.sql", "\n\n".join(f"-- {title}\n{text}" for title, text in parts) + "\n")


def test_functions_are_given_in_the_last_statement_as_names_in_a_literal():
    tools = (FunctionId('a "b" c', "it's", 'text, "odd type"'), FunctionId("tools", "score", ""))
    name = ProfileName("rv_p_3f9a1c")
    without, rendered = render(Profile(name, (ONE_GRANT,)), CLUSTER), render(Profile(name, (ONE_GRANT,), tools), CLUSTER)

    signatures = """'"a ""b"" c"."it''s"(text, "odd type")', '"tools"."score"()'"""
    given = f"SELECT rolevend.give_functions('rv_p_3f9a1c', ARRAY[{signatures}]::text[]::regprocedure[]);"
    for text, before in ((rendered.create, without.create), (rendered.renew, without.renew)):
        *_, last, commit = text.splitlines()
        assert (last, commit) == (given, "COMMIT;")
        assert text.replace(f"{last}\n", "") == before.replace(without.digest, rendered.digest)
    assert rendered.digest != without.digest


def test_the_same_filter_is_the_same_template_in_every_profile():
    other = shaped(CUSTOMERS, ONE_GRANT.rows, {})
    assert template_of(ONE_GRANT, CLUSTER) == template_of(other, CLUSTER)


@pytest.mark.parametrize(
    "other",
    [
        shaped(CUSTOMERS, (condition(own("region", "countries")),), {}),
        shaped(Table(TableId("raw", "clients"), COLUMNS), ONE_GRANT.rows, {}),
        shaped(Table(TableId("cooked", "customers"), COLUMNS), ONE_GRANT.rows, {}),
    ],
)
def test_another_filter_table_or_cluster_is_another_template(other: TableShape):
    assert template_of(other, CLUSTER).name != template_of(ONE_GRANT, CLUSTER).name
    assert template_of(ONE_GRANT, ClusterId("another")).name != template_of(ONE_GRANT, CLUSTER).name


_IN_ANOTHER_PROCESS = """
from rolevend.plan import plan
from rolevend.platforms.postgres.build.render import render
from rolevend.policy.decision import decide
from rolevend.policy.index import compile_policies
from tests.support.analysts import GUARDRAILS, POLICIES, TABLES, USERS
from tests.support.policies import catalog

index = compile_policies(catalog(*TABLES), POLICIES, GUARDRAILS)
for user in USERS.values():
    print(render(plan(decide(user, index), "cluster"), "cluster"))
"""


def test_the_same_policies_are_the_same_words_in_every_process():
    """Whatever order Python's sets have there."""

    def words(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(["operator", "."])}
        run = [sys.executable, "-c", _IN_ANOTHER_PROCESS]
        return subprocess.run(run, env=environment, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert words("1") == words("2") != ""


def test_a_column_of_another_type_is_another_template():
    """`region = ANY (...)` would be compared as another type."""
    varying = ColumnReference("region", Family.TEXT, "character varying")
    other = shaped(CUSTOMERS, (condition(AttributeMembership(varying, "regions")),), {})
    assert template_of(other, CLUSTER).name != template_of(ONE_GRANT, CLUSTER).name


def test_the_digest_follows_every_mask():
    digests = {
        render(Profile(ProfileName("rv_p_1"), (shaped(CUSTOMERS, ONE_GRANT.rows, {"ssn": mask}),)), CLUSTER).digest
        for mask in (Clear(), Hash(), Partial(3), Partial(4), Nullify(), Constant("x"))
    }
    assert len(digests) == 6


@pytest.mark.parametrize("name", ["integer; DROP TABLE x", "text)", "a--b", "integer/**/", "'x'", "", 'a"b', "Text", "x\0"])
def test_what_is_no_name_of_a_type_never_becomes_sql(name: str):
    with pytest.raises(InvalidInput):
        type_name(name)


@pytest.mark.parametrize("name", ["integer", "timestamp with time zone", '"char"', 'public."My Type"', "text[]", "bpchar", '"a""b".c'])
def test_names_of_types_pass(name: str):
    assert type_name(name).as_string() == name


@pytest.mark.parametrize("empty", [And(()), Or(())])
def test_a_conjunction_of_nothing_is_refused(empty: Predicate):
    with pytest.raises(InvalidInput):
        predicate_text(empty, lambda name: (_ for _ in ()).throw(AssertionError(name)))


def test_a_column_that_cannot_be_compared_is_refused():
    with pytest.raises(InvalidInput):
        predicate_text(Comparison(reference("place"), Operator.EQUAL, Literal("x", quoted=True)), _bare)
    with pytest.raises(InvalidInput):
        predicate_text(own("place", "places"), _bare)


@given(predicates())
def test_values_of_users_and_policies_are_literals_or_are_not_in_the_text(predicate: Predicate):
    """Outside of its quotes a predicate is made of a few words only."""
    text = predicate_text(bind(predicate, EVERY_FAMILY), _bare).as_string()
    outside = "".join(text.split("'")[::2])
    words = set("".join(character if character.isalpha() or character == "_" else " " for character in outside).split())
    families = {family.name.lower() for family in Family}
    types = {"text", "bigint", "numeric", "double", "precision", "boolean", "date", "timestamp", "with", "without", "time", "zone", "uuid"}
    clock = {"statement_timestamp", "AT", "TIME", "ZONE", "date_trunc", "make_interval", "days"}
    assert words <= families | types | clock | {"AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "ANY", "SELECT", "rolevend", "attr"}


def _bare(name: str):
    return sql.Identifier(name)


X = equal("email", "x")


@pytest.mark.parametrize(
    ("predicate", "needs", "tested"),
    [
        (None, ("regions",), ["rolevend.attr('regions')"]),
        (X, ("regions",), ["rolevend.attr('regions')"]),
        (own("region", "regions"), ("regions",), []),
        (Not(own("region", "regions")), ("regions",), []),
        (And((own("region", "regions"), X)), ("regions",), []),
        (And((Not(Not(own("region", "regions"))), X)), ("regions",), ["rolevend.attr('regions')"]),
        (Or((own("region", "regions"), X)), ("regions",), ["rolevend.attr('regions')"]),
        (Or((own("region", "regions"), And((own("region", "regions"), X)))), ("regions",), []),
        (
            Or((own("region", "regions"), own("id", "ids"))),
            ("ids", "regions"),
            ["rolevend.attr('ids', 'bigint')", "rolevend.attr('regions')"],
        ),
        (And((own("id", "ids"), X)), ("ids", "regions"), ["rolevend.attr('regions')"]),
    ],
    ids=lambda each: "" if isinstance(each, tuple | list) else None if each is None else type(each).__name__,
)
def test_a_condition_tests_that_attributes_are_there_but_those_without_which_it_is_not_true_anyway(predicate, needs, tested):
    text = condition_text(Condition(needs, predicate), _bare)
    rest = [] if predicate is None else [predicate_text(predicate, _bare).as_string()]

    assert text is not None
    assert text.as_string() == " AND ".join([*(f"(SELECT {each}) IS NOT NULL" for each in tested), *rest])


_MASKED = shaped(
    CUSTOMERS,
    (condition(X),),
    {
        "region": Nullify(),
        "email": Hash(),
        "ssn": (Cell((condition(equal("region", "EU")),), Clear(), (condition(equal("email", "x")),)), Cell((), Constant("x"))),
        "amount": Constant("0"),
        "active": Nullify(),
        "place": Nullify(),
    },
)


def _inner(shape: TableShape) -> dict[str, str]:
    """The columns of the view's inner query, in their order, and how each is read."""
    text = render(Profile(ProfileName("rv_p_1"), (shape,)), CLUSTER).create
    listed = text.partition("FROM (SELECT ")[2].partition("FROM ")[0]
    columns = (each.strip().rpartition(" AS ") for each in listed.split(",\n"))
    return {name.strip('"'): read for read, _, name in columns}


@pytest.mark.parametrize("shape", [ONE_GRANT, _MASKED, *(each for shapes in PROFILES.values() for each in shapes)])
def test_every_column_that_a_view_reads_is_fenced(shape: TableShape):
    read = _inner(shape)
    assert read
    assert all(text.startswith("rolevend.fence(") and text.endswith(")") for text in read.values()), read


def test_a_view_reads_its_columns_in_the_tables_order_each_behind_the_fence():
    assert list(_inner(_MASKED).items()) == [(each.name, f'rolevend.fence(s."{each.name}")') for each in _MASKED.columns]


@pytest.mark.parametrize("lookup", ["id", "ssn"])
def test_a_lookup_column_alone_is_read_without_a_fence(lookup: str):
    shape = replace(_MASKED, columns=tuple(replace(each, lookup=each.name == lookup) for each in _MASKED.columns))
    assert _inner(shape) == {**_inner(_MASKED), lookup: f's."{lookup}"'}


def test_columns_that_only_masks_test_are_read_last_and_are_fenced():
    shape = replace(_MASKED, columns=tuple(each for each in _MASKED.columns if each.name not in {"region", "email"}))
    assert list(_inner(shape).items()) == [
        *((each.name, f'rolevend.fence(s."{each.name}")') for each in shape.columns),
        ("email", 'rolevend.fence(s."email")'),
        ("region", 'rolevend.fence(s."region")'),
    ]


@pytest.mark.parametrize(("lookup", "test"), [(False, "(({gate}) IS NOT NULL OR s.tableoid IS NULL)"), (True, "({gate}) IS NOT NULL")])
def test_a_view_with_a_lookup_column_checks_its_lease_before_it_reads_a_row(lookup: bool, test: str):
    shape = replace(ONE_GRANT, columns=tuple(replace(each, lookup=lookup and each.name == "id") for each in ONE_GRANT.columns))
    gate = """SELECT rolevend.guarded('"raw"."customers"'::regclass) AND rolevend.reads('raw', 'customers')"""
    text = render(Profile(ProfileName("rv_p_1"), (shape,)), CLUSTER).create
    assert f"WHERE {test.format(gate=gate)}" in text, text


def test_a_view_without_columns_is_fenced_as_well():
    shape = replace(shaped(CUSTOMERS, (condition(X),), {}), columns=())
    assert _inner(shape) == {"nothing": "rolevend.fence(NULL::integer)"}


def test_the_lease_is_asked_before_all_that_needs_no_attribute():
    shape = shaped(CUSTOMERS, (condition(X),), {})

    assert (
        row_filter(shape.rows, shape.restrictions)
        == "((SELECT rolevend.live()) IS NOT NULL OR tableoid IS NULL) AND \"email\" = 'x'::character varying"
    )


def test_a_record_of_a_profile_says_its_views_in_order_and_in_every_script():
    both = (replace(ONE_GRANT, view="vorgänge"), replace(ONE_GRANT, view="abläufe"))
    rendered = render(Profile(ProfileName("rv_p_1"), both), CLUSTER)

    assert rendered.name == "rv_p_1"
    assert """'{"abläufe": ["raw", "customers"], "vorgänge": ["raw", "customers"]}'""" in rendered.create


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (lambda: predicate_text(And(()), _bare), "AND and OR need at least one part"),
        (lambda: any_of((), _bare), "a filter without a condition would mean nothing"),
        (
            lambda: predicate_text(Comparison(reference("place"), Operator.EQUAL, Literal("x", quoted=True)), _bare),
            "column place cannot be compared: PostgreSQL type public.geometry",
        ),
        (lambda: render(Profile(ProfileName("rv_p_1"), ()), CLUSTER), "profile rv_p_1 has no tables"),
    ],
)
def test_what_would_mean_nothing_is_refused_by_its_name(refused, message):
    with pytest.raises(InvalidInput) as error:
        refused()

    assert (error.value.field, error.value.message) == ("", message)


def test_views_are_commented_before_they_are_handed_over_and_comments_are_no_part_of_the_digest():
    name = ProfileName("rv_p_1")
    comments = (ViewComment("customers", None, "it's \\ 'Who'"), ViewComment("customers", 'a"b', "1; DROP TABLE x"))
    bare, commented = (render(Profile(name, (ONE_GRANT,), comments=given), CLUSTER) for given in ((), comments))
    statements = (
        "\nCOMMENT ON VIEW \"rv_p_1\".\"customers\" IS  E'it''s \\\\ ''Who''';"
        '\nCOMMENT ON COLUMN "rv_p_1"."customers"."a""b" IS \'1; DROP TABLE x\';'
    )

    assert commented.create.replace(statements, "") == bare.create
    assert commented.create.index("CREATE VIEW") < commented.create.index(statements) < commented.create.index("rolevend.hand_over")
    assert commented.comment == commented.renew.replace("lock_timeout = '200ms'", "lock_timeout = '20ms'") != commented.renew
    assert (commented.digest, commented.comments, bare.comments) == (bare.digest, frozenset(comments), frozenset())


def test_a_profile_whose_comments_change_keeps_its_functions():
    of = Profile(ProfileName("rv_p_1"), (ONE_GRANT,), (FunctionId("sem", "total", "integer"),))
    text = render(of, CLUSTER)
    assert "give_functions" in text.comment
    assert text.comment == text.renew.replace("'200ms'", "'20ms'")
