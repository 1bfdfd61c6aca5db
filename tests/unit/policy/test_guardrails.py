"""Guardrails take away, always win, and close where something is not known; and what an object of the kind is told of itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import pytest

from rolevend.catalog import Family, TableId
from rolevend.decision.outcome import Denied, Granted, withdrawal_reason
from rolevend.kinds import Guardrail as GuardrailObject
from rolevend.model import Attributes, ClusterId, Tag
from rolevend.plan import Cell, Profile, contains, plan
from rolevend.policy.decision import Entitlement, decide
from rolevend.policy.guardrail_compiler import GuardrailReport
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Nullify, Partial, Regex, Round, Unit
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial, Reason
from rolevend.policy.requirement import RequirementOperator, may_meet
from rolevend.policy.statement import ColumnSelector, Guardrail, Policy, Requirement, TableSelector
from tests.support.painted import OBJECTS, made, message, paint, said, verdict
from tests.support.painted import judged as judged_of
from tests.support.policies import catalog, column, guardrail, masked, policy, table, user

CLUSTER = ClusterId("5d4c9f0e-8d0c-4a44-9d7b-2d8f3a1c6b5e")
PEOPLE = table("claims.people", column("id", Family.INTEGER), column("ssn", Family.TEXT, Tag("pii", "id")), column("country"))
PAYMENTS = table("claims.payments", column("id", Family.INTEGER), column("iban"), tags=(Tag("domain", "money"),))
ONLY_PEOPLE, ONLY_PAYMENTS = (TableSelector(names=(TableId("claims", name),)) for name in ("people", "payments"))
SSN = ColumnSelector(names=("ssn",))
ANNA = user(countries=["DE"])


def entitled(*guardrails: Guardrail, policies: Sequence[Policy] = (policy(),), to: Attributes = ANNA) -> Entitlement | Denial:
    return decide(to, compile_policies(catalog(PEOPLE, PAYMENTS), policies, guardrails))


def profile(*guardrails: Guardrail, policies: Sequence[Policy] = (policy(),), to: Attributes = ANNA) -> Profile:
    decision = entitled(*guardrails, policies=policies, to=to)
    assert isinstance(decision, Entitlement), decision
    return plan(decision, CLUSTER)


def tables(of: Profile) -> list[str]:
    return [each.table.name for each in of.tables]


def people(of: Profile) -> dict[str, tuple[Cell, ...]]:
    (shape,) = [each for each in of.tables if each.table == PEOPLE.id]
    return {each.name: each.cells for each in shape.columns}


def report(one: Guardrail) -> GuardrailReport:
    (only,) = compile_policies(catalog(PEOPLE, PAYMENTS), [], [one]).guardrail_reports
    return only


class TestWhatItTakesAway:
    def test_a_table_that_is_denied_is_not_there(self):
        assert tables(profile(guardrail(tables=ONLY_PAYMENTS, denies_tables=True))) == ["people"]

    def test_a_column_that_is_denied_is_not_there_and_its_rows_are(self):
        assert list(people(profile(guardrail(tables=ONLY_PEOPLE, denied_columns=SSN)))) == ["id", "country"]

    def test_a_table_without_a_column_left_is_not_there(self):
        no_number = guardrail("a", denied_columns=ColumnSelector(names=("id",)))
        no_iban = guardrail("b", denied_columns=ColumnSelector(names=("iban",)))
        found = entitled(no_number, no_iban)

        assert isinstance(found, Entitlement)
        assert found.denied == ((PAYMENTS.id, ("a", "b")),)

    def test_every_restriction_is_asked_and_equal_ones_once(self):
        one, two = (guardrail(name, tables=ONLY_PEOPLE, row_restriction=parse("id > 0")) for name in "ab")
        third = guardrail("c", tables=ONLY_PEOPLE, row_restriction=parse("country IN (user_attr('countries'))"))

        (shape,) = [each for each in profile(one, two, third).tables if each.table == PEOPLE.id]

        assert [len(each) for each in shape.restrictions] == [1, 1]

    def test_a_grant_whose_filter_is_the_restriction_shows_every_row_that_is_left(self):
        filters = (policy("a", row_filter=parse("id = 1")), policy("b", row_filter=parse("id = 2"), masks=(masked(Hash(), "ssn"),)))

        given = profile(guardrail(row_restriction=parse("id = 1")), policies=filters)

        assert [len(each.rows) for each in given.tables] == [1, 1]
        assert [each.restrictions for each in given.tables] == [(), ()]
        assert people(given)["ssn"] == (Cell((), Clear()),)

    def test_what_policies_say_already_makes_no_other_profile_and_ends_no_role(self):
        filtered = [policy(row_filter=parse("id = 1"), masks=(masked(Hash(), "ssn"),))]

        assert profile(guardrail(row_restriction=parse("id = 1"), mask_floors=(masked(Hash(), "ssn"),)), policies=filtered) == profile(
            policies=filtered
        )


class TestAFloor:
    @pytest.mark.parametrize(
        ("floor", "granted", "shown"),
        [
            (Hash(), Clear(), Hash()),
            (Hash(), Constant("x"), Constant("x")),
            (Hash(), Nullify(), Nullify()),
            (Partial(4), Partial(2), Partial(2)),
            (Partial(2), Partial(4), Partial(2)),
            (Regex("[0-9]", "#"), Regex("[a-z]", "x"), Nullify()),
            (Regex("[0-9]", "#"), Regex("[0-9]", "#"), Regex("[0-9]", "#")),
            (Regex("[0-9]", "#"), Partial(2), Nullify()),
            (Partial(4), Regex("^.", ""), Nullify()),
            (Partial(4), Hash(), Hash()),
            (Constant("a"), Constant("b"), Constant("a")),
        ],
    )
    def test_holds_against_weaker_masks_and_leaves_nothing_of_those_that_cannot_be_compared(self, floor, granted, shown):
        given = profile(guardrail(mask_floors=(masked(floor, "ssn"),)), policies=[policy(masks=(masked(granted, "ssn"),))])

        assert people(given)["ssn"] == (Cell((), shown),)

    def test_is_no_way_around_another_one(self):
        """Neither a guardrail of a name that sorts first, nor one rule more of the same guardrail, shows what another one hides."""
        last, no_first, hashed = masked(Partial(4), "ssn", name="x"), masked(Regex("^.", ""), "ssn", name="y"), masked(Hash(), "ssn")

        for together in (
            [guardrail("a", mask_floors=(last,)), guardrail("b", mask_floors=(no_first,))],
            [guardrail("a", mask_floors=(hashed, last)), guardrail("b", mask_floors=(no_first,))],
            [guardrail("a", mask_floors=(hashed, last, no_first))],
        ):
            assert people(profile(*together))["ssn"] == (Cell((), Nullify()),)

    def test_makes_no_grant_hide_what_another_one_shows(self):
        """What the floor leaves of the milder grant is nothing, and of the stricter one all of it."""
        mild, strict = policy("a", masks=(masked(Partial(4), "ssn"),)), policy("b", masks=(masked(Regex("^.", ""), "ssn"),))
        floor = guardrail(mask_floors=(masked(Regex("^.", ""), "ssn"),))

        assert people(profile(floor, policies=[strict]))["ssn"] == (Cell((), Regex("^.", "")),)
        assert people(profile(floor, policies=[mild, strict]))["ssn"] == (Cell((), Regex("^.", "")),)
        assert people(profile(floor, policies=[mild]))["ssn"] == (Cell((), Nullify()),)

    def test_and_a_mask_of_steps_have_the_steps_that_both_have(self):
        given = profile(guardrail(mask_floors=(masked(Round("7"), "id"),)), policies=[policy(masks=(masked(Round("10"), "id"),))])

        assert people(given)["id"] == (Cell((), Round("70")),)

    def test_of_several_the_strongest_holds_and_of_equal_ones_that_of_the_smallest_name(self):
        weak, strong = guardrail("a", mask_floors=(masked(Partial(4), "ssn"),)), guardrail("b", mask_floors=(masked(Partial(2), "ssn"),))
        x, y = guardrail("c", mask_floors=(masked(Constant("x"), "ssn"),)), guardrail("d", mask_floors=(masked(Constant("y"), "ssn"),))

        assert people(profile(weak, strong))["ssn"] == (Cell((), Partial(2)),)
        assert people(profile(y, x, weak))["ssn"] == (Cell((), Constant("x")),)

    def test_that_the_column_cannot_show_makes_it_null_and_is_told(self):
        one = guardrail(mask_floors=(masked(DateTrunc(Unit.YEAR), "ssn"),))

        assert people(profile(one))["ssn"] == (Cell((), Nullify()),)
        assert [each.column for each in report(one).mask_fallbacks] == ["ssn"]

    def test_that_makes_neighbours_equal_makes_them_one(self):
        grants = [
            policy("a", row_filter=parse("id = 1")),
            policy("b", row_filter=parse("id = 2"), masks=(masked(Partial(2), "ssn"),)),
            policy("c", row_filter=parse("id = 3"), columns=ColumnSelector(names=("id",))),
        ]

        (cell,) = people(profile(guardrail(mask_floors=(masked(Hash(), "ssn"),)), policies=grants))["ssn"]

        assert (cell.mask, len(cell.conditions)) == (Hash(), 2)

    def test_that_is_above_every_grant_leaves_no_case(self):
        mixed = [policy("a", row_filter=parse("id = 1")), policy("b", row_filter=parse("id = 2"), masks=(masked(Partial(2), "ssn"),))]

        assert people(profile(guardrail(mask_floors=(masked(Hash(), "ssn"),)), policies=mixed))["ssn"] == (Cell((), Hash()),)


class TestWhomItConcerns:
    CONTRACTORS = guardrail(users=(Requirement("employment", frozenset({"contractor"})),), tables=ONLY_PAYMENTS, denies_tables=True)

    @pytest.mark.parametrize(
        ("attributes", "concerned"),
        [({}, True), ({"employment": ["contractor", "x"]}, True), ({"employment": ["staff"]}, False), ({"employment": [""]}, True)],
    )
    def test_everybody_of_whom_it_is_not_known_that_it_does_not(self, attributes: dict[str, list[str]], concerned: bool):
        assert ("payments" in tables(profile(self.CONTRACTORS, to=user(**attributes)))) is not concerned

    @pytest.mark.parametrize(
        ("operator", "attributes", "concerned"),
        [
            (RequirementOperator.NOT_IN, {"employment": ["contractor"]}, False),
            (RequirementOperator.NOT_IN, {"employment": ["staff"]}, True),
            (RequirementOperator.NOT_IN, {}, True),
            (RequirementOperator.EXISTS, {"employment": ["staff"]}, True),
            (RequirementOperator.EXISTS, {}, False),
            (RequirementOperator.DOES_NOT_EXIST, {"employment": ["staff"]}, False),
            (RequirementOperator.DOES_NOT_EXIST, {}, True),
        ],
    )
    def test_whatever_the_operator(self, operator: RequirementOperator, attributes: dict[str, list[str]], concerned: bool):
        named = frozenset({"contractor"}) if operator is RequirementOperator.NOT_IN else frozenset()
        one = replace(self.CONTRACTORS, users=(Requirement("employment", named, operator),))

        assert ("payments" in tables(profile(one, to=user(**attributes)))) is not concerned

    def test_of_whom_nothing_at_all_is_known_is_whoever_it_may_be(self):
        assert may_meet(Requirement("employment", operator=RequirementOperator.EXISTS), {})

    def test_and_about_a_table_without_the_tag_that_it_says_another_value_of(self):
        tagged = TableSelector(tags=(Requirement("domain", frozenset({"money"}), RequirementOperator.NOT_IN),))

        assert tables(profile(guardrail(tables=tagged, denies_tables=True))) == ["payments"]

    def test_everybody_where_it_names_nobody(self):
        assert tables(profile(replace(self.CONTRACTORS, users=()), to=user(employment=["staff"]))) == ["people"]


class TestWhatIsNotKnownCloses:
    @pytest.mark.parametrize("levels", [[], ["1", "high"]])
    def test_a_restriction_on_an_attribute_that_is_missing_or_no_value_denies_its_tables(self, levels: list[str]):
        guard = guardrail(tables=ONLY_PEOPLE, row_restriction=parse("NOT id = user_attr('levels')"))

        assert tables(profile(guard, to=user(levels=levels))) == ["payments"]
        assert tables(profile(guard, to=user(levels=["1"]))) == ["payments", "people"]

    def test_a_restriction_that_cannot_be_bound_denies_the_table_and_says_why(self):
        guard = guardrail(row_restriction=parse("contry = 'DE'"))
        found = entitled(guard)

        assert isinstance(found, Denial)
        assert (found.reason, found.message.rsplit(": ", 1)[1]) == (Reason.GUARDRAIL, "limits")
        assert report(guard).problems[1].message.endswith("did you mean country? (claims.people is denied to whom this concerns)")

    def test_a_denial_of_all_names_the_guardrails(self):
        found = entitled(guardrail("a", tables=ONLY_PEOPLE, denies_tables=True), guardrail("b", denies_tables=True))

        assert found == Denial(Reason.GUARDRAIL, "guardrails deny every table that policies grant the user here: a, b")


def test_a_profile_is_carried_on_where_guardrails_are_taken_away_and_not_where_one_is_added():
    restricted = profile(guardrail("a", row_restriction=parse("id > 0")))

    assert contains(profile(), restricted)
    assert not contains(restricted, profile())
    assert not contains(profile(guardrail(mask_floors=(masked(Hash(), "ssn"),))), profile())
    assert not contains(profile(guardrail(denied_columns=SSN)), profile())
    assert contains(profile(guardrail(tables=ONLY_PAYMENTS, denies_tables=True)), profile(policies=[policy(tables=ONLY_PEOPLE)]))


class TestAnObjectOfTheKind:
    FIELDS: ClassVar = {"users": None, "deny": None, "maskFloors": None, "rowRestriction": "id > 0"}

    def one(self, **spec: object) -> GuardrailObject:
        return made(GuardrailObject, "limits", **(self.FIELDS | spec))

    def test_is_told_that_it_is_in_force_and_what_it_matches(self):
        built = paint(replace(OBJECTS, guardrails=[self.one()]))

        assert said(built, "limits", "Accepted") == ("True", "Valid")
        assert said(built, "limits", "Ready") == ("True", "InForce")
        assert judged_of(built, "limits").counts == {"matchedTables": 1, "matchedColumns": 0, "matchedUsers": 1}

    def test_reaches_schemas_that_nobody_was_given(self):
        built = paint(replace(OBJECTS, guardrails=[self.one(tables={"matchNames": [{"schema": "*", "name": "*"}]})]))

        assert judged_of(built, "limits").counts["matchedTables"] == 2

    def test_that_selects_nothing_is_told_so(self):
        built = paint(replace(OBJECTS, guardrails=[self.one(tables={"matchNames": [{"schema": "claims", "name": "poeple"}]})]))

        assert said(built, "limits", "Ready") == ("False", "NoMatch")

    def test_that_names_what_nothing_and_nobody_has_is_told_what_was_meant(self):
        users = {"matchAttributes": [{"key": "departmnt", "operator": "In", "values": ["claims"]}]}
        tables = {"matchTags": [{"key": "domian", "operator": "In", "values": ["claims"]}]}
        built = paint(replace(OBJECTS, guardrails=[self.one(tables=tables, users=users)]))

        assert said(paint(replace(OBJECTS, guardrails=[self.one()])), "limits", "NamesKnown") == ("True", "Known")
        assert said(built, "limits", "NamesKnown") == ("False", "Unknown")
        assert "spec.tables.matchTags: no table in reach carries the tag domian; did you mean domain?" in message(
            built, "limits", "NamesKnown"
        )
        assert "has the attribute departmnt" in message(built, "limits", "NamesKnown")

    def test_whose_restriction_does_not_go_with_a_table_denies_it_and_is_told_so(self):
        built = paint(replace(OBJECTS, guardrails=[self.one(rowRestriction="nowhere = 1")]))

        assert isinstance(verdict(built), Denied)
        assert said(built, "limits", "Ready") == ("False", "Denies")

    def test_whose_restriction_cannot_be_read_denies_all_its_tables_and_is_told_so(self):
        built = paint(replace(OBJECTS, guardrails=[self.one(rowRestriction="id IN (SELECT 1)")]))

        found = verdict(built)
        assert isinstance(found, Denied)
        assert found.reason == "GuardrailDenies"
        assert said(built, "limits", "Accepted") == ("False", "InvalidInput")
        assert message(built, "limits", "Ready").endswith("Until that is fixed all its tables are denied")

    def test_that_names_a_platform_that_is_not_there_holds_on_the_others_all_the_same(self):
        everything = self.one(platformRefs=[{"name": "warehouse"}, {"name": "lake"}], rowRestriction=None, deny={"type": "Tables"})
        built = paint(replace(OBJECTS, guardrails=[everything]))

        assert isinstance(verdict(built), Denied)
        assert said(built, "limits", "Accepted") == ("False", "PlatformUnknown")

    def test_that_is_added_ends_the_role_that_it_narrows_and_no_other(self):
        held = verdict(paint())
        assert isinstance(held, Granted)

        narrowed = verdict(paint(replace(OBJECTS, guardrails=[self.one()])), role_exists=True)
        elsewhere = [self.one(tables={"matchNames": [{"schema": "hr", "name": "*"}]})]

        assert "guardrails" in withdrawal_reason(narrowed, held)
        assert not withdrawal_reason(verdict(paint(replace(OBJECTS, guardrails=elsewhere)), role_exists=True), held)
