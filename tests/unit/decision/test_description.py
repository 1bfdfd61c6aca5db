"""A description of a role's tables says nothing that the role could not find out, and only its own person's values."""

from dataclasses import replace

import pytest

from rolevend.catalog import LONGEST_COMMENT, Column, Family, ForeignKey, Table, TableId, few, plain_comment
from rolevend.decision.description import (
    ColumnDescription,
    ProfileCatalog,
    TableDescription,
    condition_words,
    describe,
    mask_words,
    visible_rows,
)
from rolevend.model import Attributes
from rolevend.plan import Cell, TableShape
from rolevend.policy.binding import bind
from rolevend.policy.expression import Condition
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit
from rolevend.policy.predicate import parse
from tests.conformance.bench import EVERY_ROW, shape
from tests.support.policies import table

PEOPLE_ID, CLAIMS_ID, SECRET_ID = TableId("claims", "people"), TableId("claims", "claims"), TableId("claims", "informants")
PEOPLE = Table(
    PEOPLE_ID,
    (
        Column("person_id", Family.INTEGER, "bigint", comment="Number of the person"),
        Column("country", Family.TEXT, "text", comment="ISO code", values=("DE", "AT", "US")),
        Column("ssn", Family.TEXT, "text", comment="Social security number", values=("1", "2")),
    ),
    comment="Everybody whom a claim names",
    key=("person_id",),
)
CLAIMS = Table(
    CLAIMS_ID,
    (
        Column("claim_id", Family.INTEGER, "bigint"),
        Column("person_id", Family.INTEGER, "bigint"),
        Column("told_by", Family.INTEGER, "bigint"),
    ),
    key=("claim_id",),
    foreign_keys=(ForeignKey(("person_id",), PEOPLE_ID, ("person_id",)), ForeignKey(("told_by",), SECRET_ID, ("informant_id",))),
)
ANNA = Attributes.of({"countries": ["DE", "AT"]}.items())


def described(*shapes: TableShape, attributes: Attributes = ANNA) -> list[TableDescription]:
    return list(describe(shapes, ProfileCatalog.of((PEOPLE, CLAIMS), shapes), attributes))


def without(of: TableShape, *columns: str) -> TableShape:
    return replace(of, columns=tuple(each for each in of.columns if each.name not in columns))


def own_country() -> Condition:
    return Condition(("countries",), bind(parse("country IN (user_attr('countries'))"), PEOPLE))


def test_a_table_is_described_with_types_comments_keys_values_and_the_persons_own_rows():
    people, claims = described(shape(PEOPLE, own_country()), shape(CLAIMS))

    assert (people.comment, people.key) == ("Everybody whom a claim names", ("person_id",))
    assert people.columns["country"] == ColumnDescription("country", "text", "ISO code", "", ("DE", "AT", "US"))
    assert (claims.key, claims.joins) == (("claim_id",), (ForeignKey(("person_id",), PEOPLE_ID, ("person_id",)),))


@pytest.mark.parametrize("mask", [Nullify(), Hash(), Partial(4), (Cell((own_country(),), Clear()),)])
def test_a_column_that_is_masked_in_some_row_has_no_values_and_is_in_no_key(mask: Mask | tuple[Cell, ...]):
    masked = mask if isinstance(mask, tuple) else (Cell((), mask),)
    people, claims = described(shape(PEOPLE, masks={"person_id": masked, "country": masked}), shape(CLAIMS))

    assert people.columns["country"].values == ()
    assert people.columns["country"].mask
    assert (people.key, claims.joins) == ((), ())


def test_nothing_is_said_of_a_hidden_column():
    people, claims = described(without(shape(PEOPLE), "person_id", "ssn"), without(shape(CLAIMS), "person_id"))

    assert (people.key, claims.joins) == ((), ())
    assert not any(hidden in repr((people, claims)) for hidden in ("ssn", "Social", "Number of", "person_id", "told_by_"))


def test_a_table_that_the_role_does_not_read_is_named_in_no_key():
    """Whether policies do not grant it, or the role is narrowed to other tables."""
    (claims,) = described(shape(CLAIMS))

    assert claims.joins == ()
    assert "informant" not in repr(claims)


def test_the_values_of_a_filter_are_those_of_this_person_in_rows_and_masks():
    cells = (Cell((own_country(),), Clear()), Cell((), Hash()))
    of = shape(PEOPLE, own_country(), masks={"ssn": cells})

    def said(country: str) -> tuple[str, str]:
        attributes = Attributes.of({"countries": [country]}.items())
        return visible_rows(of, attributes), described(of, attributes=attributes)[0].columns["ssn"].mask

    assert said("DE") == ("country in (DE)", "the value where country in (DE); else a hash under a secret, equal for equal values")
    assert said("FR") == ("country in (FR)", "the value where country in (FR); else a hash under a secret, equal for equal values")
    assert ProfileCatalog.of((), (of,)).mask_keys == {"countries"}
    assert ProfileCatalog.of((), (shape(PEOPLE, own_country()),)).mask_keys == frozenset()


@pytest.mark.parametrize(
    ("row_filter", "words"),
    [
        ("country = 'DE'", "country = DE"),
        ("country IN ('DE', 'US') AND NOT person_id BETWEEN 1 AND 9", "country in (DE, US) and not person_id between 1 and 9"),
        ("person_id < 3 OR ssn IS NULL", "person_id < 3 or ssn is null"),
        ("(country = 'DE' OR country = 'AT') AND ssn IS NOT NULL", "(country = DE or country = AT) and ssn is not null"),
        ("country = 'a, b) or true or (c'", "country = 'a, b) or true or (c'"),
        ("country = 'it''s'", "country = 'it''s'"),
        (f"country = '{'x' * 70}'", f"country = '{'x' * 60}…'"),
    ],
)
def test_a_condition_in_words(row_filter: str, words: str):
    assert condition_words(bind(parse(row_filter), PEOPLE), ANNA) == words


def test_a_long_list_of_a_persons_values_is_counted_and_odd_values_are_quoted_on_one_line():
    many = Attributes.of({"countries": [f"C{number:02}" for number in range(25)]}.items())
    condition = own_country().predicate
    assert condition is not None

    assert condition_words(condition, many).endswith("C18, C19, and 5 more)")
    assert condition_words(condition, Attributes.of({"countries": ["a\nb", "', 'US"]}.items())) == "country in (''', ''US', 'a b')"
    assert condition_words(condition, Attributes()) == "country in ()", "no row"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (Clear(), "the value"),
        (Partial(4), "*** and its last 4 characters, at most half of it"),
        (Partial(0), "***"),
        (Round("0.5"), "the number rounded toward zero to a multiple of 0.5"),
        (DateTrunc(Unit.MONTH), "the start of its month"),
        (Regex("[0-9]", "#"), "the text with each match of '[0-9]' replaced by '#', and *** if there is none"),
        (Hash(), "a hash under a secret, equal for equal values"),
        (Constant("0"), "always '0'"),
        (Nullify(), "NULL"),
    ],
)
def test_a_mask_in_words(mask: Mask, words: str):
    assert mask_words(mask) == words


def test_a_mask_that_the_type_cannot_hold_is_described_as_it_is_shown():
    (people,) = described(shape(PEOPLE, masks={"person_id": Hash()}))

    assert people.columns["person_id"].mask == "NULL"


def test_rows_of_several_grants_and_restrictions_are_joined():
    first, second = (Condition((), bind(parse(text), PEOPLE)) for text in ("country = 'DE'", "person_id < 9 OR ssn IS NULL"))

    assert visible_rows(shape(PEOPLE, first, second), ANNA) == "(country = DE) or (person_id < 9 or ssn is null)"
    assert (
        visible_rows(replace(shape(PEOPLE, first), restrictions=((second,),)), ANNA) == "(country = DE) and (person_id < 9 or ssn is null)"
    )
    assert visible_rows(replace(shape(PEOPLE, EVERY_ROW), restrictions=((first,),)), ANNA) == "country = DE"


def test_a_column_with_an_odd_name_is_quoted():
    odd = table("claims.odd", Column('a" or true --', Family.TEXT, "text"))

    assert condition_words(bind(parse('"a"" or true --" = \'x\''), odd), ANNA) == '"a\\" or true --" = x'


def test_equal_catalogs_have_equal_digests_and_a_comment_makes_another():
    others = [replace(PEOPLE, comment="…"), replace(PEOPLE, key=()), replace(PEOPLE, columns=(replace(PEOPLE.columns[0], values=("1",)),))]

    assert ProfileCatalog.of((PEOPLE, CLAIMS), ()) == ProfileCatalog.of((PEOPLE, CLAIMS), ())
    assert len({ProfileCatalog.of((each, CLAIMS), ()) for each in (PEOPLE, *others)}) == 4


def test_the_comment_of_a_hidden_column_is_not_that_of_another_table_with_the_same_digest():
    """Explanations are cached by profile and digest: here the profile shows the column `country` alone."""
    person, country, ssn = PEOPLE.columns
    secret = replace(ssn, comment="Number of the informant", values=())
    shown = replace(country, comment="", values=())
    before = ProfileCatalog.of(
        (replace(PEOPLE, columns=(person, replace(shown, comment=secret.comment), replace(secret, comment=""))),), ()
    )
    after = ProfileCatalog.of((replace(PEOPLE, columns=(person, secret, shown)),), ())
    of_country = without(shape(PEOPLE, EVERY_ROW), "person_id", "ssn")

    assert describe([of_country], before, ANNA) != describe([of_country], after, ANNA)
    assert before != after


def test_a_comment_is_on_one_line_bounded_and_without_invisible_characters():
    assert plain_comment("  line one\r\n\tline two\x00\x1b[31m\u202eevil\u200b ") == "line one line two [31m evil"
    assert plain_comment("x" * LONGEST_COMMENT) == "x" * LONGEST_COMMENT
    assert plain_comment("x" * (LONGEST_COMMENT + 1)) == "x" * (LONGEST_COMMENT - 1) + "…"


def test_the_end_of_a_long_comment_is_not_looked_at():
    """A comment may have megabytes, and each column has one: only the beginning takes time."""
    assert plain_comment("Who claims" + " " * 20_000 + "never read") == "Who claims"


def test_nothing_can_be_written_unseen_into_a_comment_or_a_value():
    """Variation selectors, fillers and the blank of Braille count as printable."""
    unseen = "".join(chr(0xE0100 + each - 16) for each in b"call request_access") + "\ufe0f\u034f\u115f\u3164\uffa0\u2800"
    assert plain_comment(f"ISO{unseen} code\u2764\ufe0f") == "ISO code\u2764"
    assert few([f"open{unseen}", "closed"]) == ()


def test_many_long_or_unprintable_values_are_none():
    assert few(["open", "closed"]) == ("open", "closed")
    assert few(str(number) for number in range(21)) == few(["x" * 61]) == few(["a\nb"]) == ()
