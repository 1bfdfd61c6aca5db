"""What each policy would give, and what is told of what it cannot."""

import pytest

from rolevend.catalog import Family, TableId
from rolevend.model import ObjectName, Tag
from rolevend.policy.bitmap import places
from rolevend.policy.index import PolicyReport, compile_policies
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Unit
from rolevend.policy.predicate import parse
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, MaskRule, Policy, TableSelector
from tests.support.policies import catalog, column, masked, policy, table

SSN, DOB = Tag("pii", "ssn"), Tag("pii", "dob")
PEOPLE = table(
    "claims.people",
    column("id", Family.INTEGER),
    column("ssn", Family.TEXT, SSN),
    column("born", Family.DATE, DOB),
    tags=(Tag("domain", "claims"), Tag("env", "prod")),
)
PAYMENTS = table("claims.payments", column("id", Family.INTEGER), column("amount", Family.NUMERIC), tags=(Tag("domain", "claims"),))
STAFF = table("hr.staff", column("id", Family.INTEGER), tags=(Tag("domain", "claims"),))


def granted(one: Policy, *tables) -> dict[str, dict[str, Mask]]:
    index = compile_policies(catalog(*(tables or (PEOPLE, PAYMENTS, STAFF))), [one])
    (compiled,) = index.policies
    tables = [index.tables[place] for each in compiled.grant_sets for place in places(each.tables)]
    return {str(each.id): dict(compiled.grant(each).masks) for each in tables}


def report(one: Policy, *tables) -> PolicyReport:
    (only,) = compile_policies(catalog(*(tables or (PEOPLE, PAYMENTS, STAFF))), [one]).reports
    return only


def tagged(**tags: str) -> tuple[Requirement, ...]:
    return tuple(Requirement(key, frozenset(values.split())) for key, values in tags.items())


def test_a_policy_reaches_only_its_own_schemas():
    assert set(granted(policy())) == {"claims.people", "claims.payments"}
    assert set(granted(policy(schemas=frozenset({"claims", "hr"})))) == {"claims.people", "claims.payments", "hr.staff"}
    assert granted(policy(schemas=frozenset())) == {}


@pytest.mark.parametrize(
    ("selector", "tables"),
    [
        (TableSelector(tags=tagged(domain="claims")), {"claims.people", "claims.payments"}),
        (TableSelector(tags=tagged(domain="claims", env="prod")), {"claims.people"}),
        (TableSelector(tags=tagged(env="prod test")), {"claims.people"}),
        (TableSelector(tags=tagged(domain="finance")), set()),
        (TableSelector(names=(TableId("claims", "pay*"),)), {"claims.payments"}),
        (TableSelector(names=(TableId("claims", "PAY*"),)), set()),
        (TableSelector(names=(TableId("claims", "people"), TableId("*", "payments"))), {"claims.people", "claims.payments"}),
        (TableSelector(names=(TableId("*", "*"),), tags=tagged(env="prod")), {"claims.people"}),
        (TableSelector(), set()),
        (TableSelector(tags=(Requirement("domain", frozenset()),)), set()),
        (TableSelector(tags=(Requirement("env", operator=RequirementOperator.EXISTS),)), {"claims.people"}),
        (TableSelector(tags=(Requirement("env", operator=RequirementOperator.DOES_NOT_EXIST),)), {"claims.payments"}),
        (TableSelector(tags=(Requirement("env", frozenset({"test"}), RequirementOperator.NOT_IN),)), {"claims.people"}),
        (TableSelector(tags=tagged(domain="cl*")), {"claims.people", "claims.payments"}),
    ],
)
def test_selectors_of_tables_must_all_match(selector, tables):
    assert set(granted(policy(tables=selector))) == tables


@pytest.mark.parametrize(
    ("selector", "columns"),
    [
        (ColumnSelector(names=("*",)), {"id", "ssn", "born"}),
        (ColumnSelector(names=("id", "b*")), {"id", "born"}),
        (ColumnSelector(tags=tagged(pii="ssn dob")), {"ssn", "born"}),
        (ColumnSelector(tags=tagged(pii="ssn dob"), names=("s*",)), {"ssn"}),
        (ColumnSelector(names=("absent",)), None),
        (ColumnSelector(), None),
    ],
)
def test_columns_are_granted_by_choice_and_a_table_without_any_is_not_granted(selector, columns):
    found = granted(policy(columns=selector), PEOPLE).get("claims.people")

    assert (None if found is None else set(found)) == columns


@pytest.mark.parametrize(
    ("masks", "shown"),
    [
        ((), Clear()),
        ((masked(Hash(), "ssn"),), Hash()),
        ((masked(Hash(), "s*"), masked(Nullify(), "ssn")), Nullify()),
        ((masked(Partial(4), "ssn"), masked(Hash(), "ssn")), Hash()),
        ((masked(Partial(4), "ssn"), masked(Partial(2), "ssn")), Partial(2)),
        ((masked(Constant("b"), "ssn", name="b"), masked(Constant("a"), "ssn", name="a")), Constant("a")),
        ((MaskRule("tagged", ColumnSelector(tags=tagged(pii="ssn")), Hash()),), Hash()),
        ((masked(DateTrunc(Unit.YEAR), "ssn"), masked(Clear(), "ssn")), Nullify()),
    ],
)
def test_of_the_masks_that_match_a_column_the_one_that_shows_least_holds(masks, shown):
    assert granted(policy(masks=masks), PEOPLE)["claims.people"]["ssn"] == shown


NOT_KNOWN_HARMLESS = ColumnSelector(tags=(Requirement("pii", frozenset({"none"}), RequirementOperator.NOT_IN),))


def test_a_mask_for_what_is_not_tagged_harmless_is_on_columns_without_tags_too():
    rule = MaskRule("rest", NOT_KNOWN_HARMLESS, Nullify())

    assert granted(policy(masks=(rule,)), PEOPLE)["claims.people"] == {"id": Nullify(), "ssn": Nullify(), "born": Nullify()}


def test_columns_that_are_chosen_by_what_their_tag_is_not_have_the_tag():
    assert set(granted(policy(columns=NOT_KNOWN_HARMLESS), PEOPLE)["claims.people"]) == {"ssn", "born"}


def test_tags_that_nothing_in_reach_carries_are_told_with_what_was_meant_perhaps():
    told = report(
        policy(
            tables=TableSelector(tags=tagged(domian="claims")),
            columns=ColumnSelector(tags=tagged(pii="snn dob")),
            masks=(MaskRule("ids", ColumnSelector(tags=tagged(secret="yes")), Hash()),),
        )
    ).unknown

    assert [each.message for each in told] == [
        "spec.tables.matchTags: no table in reach carries the tag domian; did you mean domain?",
        "spec.columns.matchTags: no column in reach carries the tag pii with the value snn; did you mean ssn?",
        "spec.masks[ids].columns.matchTags: no column in reach carries the tag secret",
    ]


def test_a_name_that_nothing_has_is_told_as_the_catalog_changes():
    """An index that is mended says what a new one does, also of what was meant."""
    one = policy(columns=ColumnSelector(names=("id", "brn")), masks=(masked(Hash(), "id", "sn"),))
    wide = table("claims.people", column("id"), column("born"), column("ssn"))
    told = []
    index = None
    for now in (
        wide,
        table("claims.people", column("id"), column("barn"), column("ssn")),
        table("claims.people", column("id"), column("brn")),
    ):
        index = compile_policies(catalog(now, PAYMENTS), [one], before=index)
        assert index == compile_policies(catalog(now, PAYMENTS), [one])
        told.append([each.message.partition("; ")[2] for each in index.reports[0].unknown])

    assert told == [["did you mean born?", "did you mean ssn?"], ["did you mean barn?", "did you mean ssn?"], [""]]


def test_tags_of_schemas_out_of_reach_are_not_told():
    hidden = table("hr.staff", column("id"), tags=(Tag("takeover", "2027"),))
    (told,) = report(policy(tables=TableSelector(tags=tagged(takeovers="2027"))), PEOPLE, hidden).unknown

    assert told.message == "spec.tables.matchTags: no table in reach carries the tag takeovers"


def test_of_two_truncations_the_coarser_holds():
    masks = (masked(DateTrunc(Unit.MONTH), "born"), masked(DateTrunc(Unit.YEAR), "born"), masked(DateTrunc(Unit.QUARTER), "born"))

    assert granted(policy(masks=masks), PEOPLE)["claims.people"]["born"] == DateTrunc(Unit.YEAR)


def test_a_mask_that_a_type_cannot_show_becomes_null_and_is_reported():
    told = report(policy(masks=(masked(Hash(), "*"),)), PEOPLE)

    assert granted(policy(masks=(masked(Hash(), "*"),)), PEOPLE)["claims.people"] == {"id": Nullify(), "ssn": Hash(), "born": Nullify()}
    assert [(each.table, each.column, each.mask) for each in told.mask_fallbacks] == [
        (PEOPLE.id, "id", Hash()),
        (PEOPLE.id, "born", Hash()),
    ]
    assert told.mask_fallbacks[0].message == "column id of claims.people is bigint, which cannot show Hash: it is NULL instead"


def test_a_column_with_two_masks_that_each_show_what_the_other_hides_becomes_null_and_is_reported():
    both = masked(Partial(4), "ssn", name="a"), masked(Regex("^.", ""), "ssn", "id", name="b")
    told = report(policy(masks=both), PEOPLE)

    assert granted(policy(masks=both), PEOPLE)["claims.people"]["ssn"] == Nullify()
    assert [(each.column, each.message) for each in told.mask_fallbacks] == [
        ("id", "column id of claims.people is bigint, which cannot show Regex: it is NULL instead"),
        (
            "ssn",
            "column ssn of claims.people has the masks Partial and Regex, and each shows what the other hides: it is NULL instead",
        ),
    ]
    assert [(each.table, each.mask) for each in told.mask_fallbacks] == [(PEOPLE.id, Regex("^.", "")), (PEOPLE.id, Partial(4))]
    assert report(policy(masks=(both[0], masked(Partial(2), "ssn", name="c"))), PEOPLE).mask_fallbacks == ()
    assert report(policy(masks=(*both, masked(Nullify(), "ssn", name="c"))), PEOPLE).mask_fallbacks[1:] == ()


def test_a_table_that_cannot_be_governed_is_not_granted_and_is_reported():
    foreign = table("claims.elsewhere", column("id"), obstacle="is a foreign table")

    assert granted(policy(), foreign) == {}
    assert [each.message for each in report(policy(), foreign).problems] == ["claims.elsewhere is a foreign table: it is not granted"]


def test_a_table_that_the_row_filter_does_not_fit_is_not_granted_and_is_reported():
    filtered = policy(row_filter=parse("amount > 10"))
    told = report(filtered)

    assert set(granted(filtered)) == {"claims.payments"}
    assert told.granted_tables == 1
    assert [(each.table, each.field) for each in told.problems] == [(PEOPLE.id, "spec.rowFilter")]
    assert "has no column amount" in told.problems[0].message
    assert "claims.people is not granted" in told.problems[0].message


def test_a_filter_of_one_type_does_not_slip_through_on_another():
    text = table("claims.a", column("level"))
    number = table("claims.b", column("level", Family.INTEGER))
    filtered = policy(row_filter=parse("level = 7"))

    assert set(granted(filtered, text, number)) == {"claims.b"}


def test_tables_whose_columns_have_other_types_are_granted_beside_each_other():
    whole, broken = table("claims.whole", column("level", Family.INTEGER)), table("claims.broken", column("level", Family.NUMERIC))
    filtered = policy(row_filter=parse("level = 7"))

    assert set(granted(filtered, whole, broken)) == {"claims.whole", "claims.broken"}
    assert report(filtered, whole, broken).granted_tables == 2


def test_every_table_that_is_kept_from_a_grant_is_told_whatever_keeps_it():
    kept = [
        table("claims.text", column("level")),
        table("claims.without", column("id")),
        table("claims.foreign", column("level", Family.INTEGER), obstacle="is a foreign table"),
    ]
    told = report(policy(row_filter=parse("level = 7")), table("claims.number", column("level", Family.INTEGER)), *kept)

    assert {each.table for each in told.problems} == {each.id for each in kept}
    assert told.granted_tables == 1


def test_a_policy_that_selects_nothing_is_told_so():
    told = report(policy(tables=TableSelector(tags=tagged(domain="finance"))))

    assert told.granted_tables == 0
    assert [(each.table, each.field) for each in told.problems] == [(None, "spec.tables")]
    assert "schemas of namespace domain (claims)" in told.problems[0].message


def test_policies_and_tables_stand_in_one_order():
    both = [policy("b"), policy("a", id=ObjectName("z", "a"))]
    index = compile_policies(catalog(STAFF, PAYMENTS, PEOPLE), both)

    assert [str(each.id) for each in index.policies] == [str(each.policy) for each in index.reports] == ["domain/b", "z/a"]
    assert [each.id for each in index.tables] == [PAYMENTS.id, PEOPLE.id, STAFF.id]


def by_tag(**tags: str) -> MaskRule:
    return MaskRule("secret", ColumnSelector(tags=tagged(**tags)), Hash())


def test_a_policy_that_masks_by_a_tag_of_no_column_grants_nothing_until_one_carries_it():
    """Which columns its author meant cannot be known, and in clear they must not be: the TagBinding may be on its way."""
    one, untagged = policy(masks=(by_tag(pii="ssn"),)), table("claims.people", column("id", Family.INTEGER), column("ssn"))

    assert granted(one, untagged, PAYMENTS) == {}
    (problem,) = report(one, untagged, PAYMENTS).problems
    assert problem.field == "spec.masks[secret]"
    assert "a TagBinding must say which columns they are" in problem.message
    assert granted(one, PEOPLE, PAYMENTS)["claims.people"]["ssn"] == Hash()
    assert set(granted(one, PEOPLE, PAYMENTS)) == {"claims.people", "claims.payments"}


def test_a_tag_of_another_schema_does_not_count():
    elsewhere = table("hr.people", column("ssn", Family.TEXT, SSN))

    assert granted(policy(masks=(by_tag(pii="ssn"),)), PAYMENTS, elsewhere) == {}


def test_a_mask_of_a_column_that_is_not_granted_keeps_nothing_back():
    one = policy(columns=ColumnSelector(names=("id",)), masks=(by_tag(pii="ssn"),))

    assert granted(one, PEOPLE) == {"claims.people": {"id": Clear()}}


FOREIGN = table("claims.elsewhere", column("id"), obstacle="is a foreign table")
LEVEL, FLAGGED = table("claims.a", column("level")), table("claims.b", column("flag", Family.BOOLEAN))


@pytest.mark.parametrize(
    ("one", "tables", "told"),
    [
        (policy(), [FOREIGN], (FOREIGN.id, "spec.tables", "claims.elsewhere is a foreign table: it is not granted")),
        (
            policy(row_filter=parse("amount > 10")),
            [PEOPLE],
            (
                PEOPLE.id,
                "spec.rowFilter",
                "table claims.people has no column amount; it has id, ssn, born (claims.people is not granted)",
            ),
        ),
        (
            policy(row_filter=parse("level = 7")),
            [LEVEL],
            (LEVEL.id, "spec.rowFilter", "column level is of type text and 7 is not; put it in quotes: '7' (claims.a is not granted)"),
        ),
        (
            policy(row_filter=parse("col('pii') = 'x'")),
            [PEOPLE],
            (
                PEOPLE.id,
                "spec.rowFilter",
                "several columns of table claims.people carry the tag pii: ssn, born; name one of them (claims.people is not granted)",
            ),
        ),
        (
            policy(row_filter=parse("flag IN ('true', 'false')")),
            [FLAGGED],
            (
                FLAGGED.id,
                "spec.rowFilter",
                "this is true in every row that has a value; join with AND what must all hold, or leave the filter out "
                "(claims.b is not granted)",
            ),
        ),
        (
            policy(tables=TableSelector(tags=tagged(domain="finance")), schemas=frozenset({"hr", "claims"})),
            [],
            (
                None,
                "spec.tables",
                "no table with a selected column is in the schemas of namespace domain (claims, hr); check names and tags",
            ),
        ),
        (
            policy(schemas=frozenset()),
            [],
            (None, "spec.tables", "no table with a selected column is in the schemas of namespace domain (none); check names and tags"),
        ),
        (
            policy(masks=(by_tag(pii="none"),)),
            [],
            (
                None,
                "spec.masks[secret]",
                "spec.masks[secret]: no column of the tables carries the tags that it masks by, so nothing is granted: "
                "a TagBinding must say which columns they are, or the rule must go",
            ),
        ),
        (
            policy(masks=(masked(Hash(), "absent"),)),
            [],
            (
                None,
                "spec.masks[rule]",
                "spec.masks[rule]: no column of the tables has a name that it masks by, so nothing is granted: "
                "fix the names, or remove the rule",
            ),
        ),
    ],
)
def test_what_keeps_a_policy_from_granting_is_told_to_the_letter(one, tables, told):
    found = report(one, *tables)

    assert [(each.table, each.field, each.message) for each in found.problems] == [told]
    assert (found.granted_tables, found.granted_columns, found.mask_fallbacks) == (0, 0, ())


def test_a_mask_for_nothing_is_told_beside_what_keeps_a_table_back():
    one = policy(row_filter=parse("amount > 10"), masks=(by_tag(pii="none"),))
    found = report(one, PEOPLE, PAYMENTS)

    assert (found.policy, [each.field for each in found.unknown]) == (one.id, ["spec.masks[secret].columns.matchTags"])
    assert {each.field for each in found.problems} == {"spec.rowFilter", "spec.masks[secret]"}


def test_what_no_tag_says_grants_no_column_and_masks_every_column():
    not_ssn = (Requirement("pii", frozenset({"ssn"}), RequirementOperator.NOT_IN),)
    shown, hidden = policy(columns=ColumnSelector(tags=not_ssn)), policy(masks=(MaskRule("rule", ColumnSelector(tags=not_ssn), Nullify()),))

    assert granted(shown, PEOPLE, PAYMENTS) == {"claims.people": {"born": Clear()}}
    assert (report(shown, PEOPLE, PAYMENTS).granted_tables, report(shown, PEOPLE, PAYMENTS).granted_columns) == (1, 1)
    assert granted(hidden, PAYMENTS) == {"claims.payments": {"id": Nullify(), "amount": Nullify()}}
