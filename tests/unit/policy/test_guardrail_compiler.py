"""What guardrails take away, compiled, and what is told of it."""

import pytest

from rolevend.catalog import Family, Table, TableId
from rolevend.model import Tag
from rolevend.policy.bitmap import places
from rolevend.policy.decision import Entitlement, TableEntitlement, decide
from rolevend.policy.guardrail_compiler import CompiledGuardrail, GuardrailReport, Restraint
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Clear, Hash, Partial, Regex, Round
from rolevend.policy.predicate import parse
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, MaskRule, TableSelector
from tests.support.policies import catalog, column, guardrail, masked, policy, table, user

PEOPLE = table("claims.people", column("id", Family.INTEGER), column("ssn", Family.TEXT, Tag("pii", "id")), column("country"))
PAYMENTS = table("claims.payments", column("id"), column("iban", Family.TEXT, Tag("pii", "account")))
NOT_AN_ACCOUNT = ColumnSelector(tags=(Requirement("pii", frozenset({"account"}), RequirementOperator.NOT_IN),))


def compiled(one: Guardrail) -> tuple[CompiledGuardrail, GuardrailReport]:
    index = compile_policies(catalog(PEOPLE, PAYMENTS), [], [one])
    return index.guardrails[0], index.guardrail_reports[0]


def restraints(one: Guardrail) -> dict[str, Restraint]:
    decision = decide(user(), compile_policies(catalog(PEOPLE, PAYMENTS), [policy()], [one]))
    assert isinstance(decision, Entitlement)
    return {each.table.id.name: restraint for each in decision.tables for restraint in each.restraints}


def shown(decision: object) -> tuple[TableEntitlement, ...]:
    assert isinstance(decision, Entitlement)
    return decision.tables


def counted(one: Guardrail) -> tuple[int, int]:
    _, report = compiled(one)
    return report.tables, report.columns


def test_columns_are_counted_over_all_tables_and_once_each():
    everything, keys = ColumnSelector(names=("*",)), ColumnSelector(names=("id",))

    assert counted(guardrail(denied_columns=everything)) == (2, 5)
    assert counted(guardrail(denies_tables=True)) == (2, 5)
    assert counted(guardrail(denied_columns=keys, mask_floors=(masked(Hash(), "id", "ssn"),))) == (2, 3)
    assert counted(guardrail(row_restriction=parse("country = 'DE'"), tables=TableSelector(names=(PEOPLE.id,)))) == (1, 0)


def test_one_that_says_nothing_takes_nothing_away():
    assert counted(guardrail()) == (0, 0)
    assert counted(guardrail(denied_columns=ColumnSelector(names=("absent",)), mask_floors=(masked(Hash(), "absent"),))) == (0, 0)
    assert restraints(guardrail(mask_floors=(masked(Hash(), "ssn"),)))["people"].condition is None


def test_columns_of_which_no_tag_says_that_they_may_stay_are_denied_and_so_is_a_table_of_such_alone():
    assert {name: each.denied_columns for name, each in restraints(guardrail(denied_columns=NOT_AN_ACCOUNT)).items()} == {
        "payments": {"id"}
    }


def test_tables_whose_restriction_asks_something_else_of_a_user_stand_apart_in_one_order():
    guard, _ = compiled(guardrail(row_restriction=parse("id = user_attr('mine')")))

    assert [[(each.attribute, each.family) for each in sets.demands] for sets in guard.restraint_sets] == [
        [("mine", Family.INTEGER)],
        [("mine", Family.TEXT)],
    ]


KEYS = ColumnSelector(names=("secret",))
FLOOR = (masked(Hash(), "name"),)
HIDING = table("claims.hiding", column("secret"), column("name"), column("level", Family.INTEGER))
FLOORED = table("claims.floored", column("name"), column("level", Family.INTEGER))
PLAIN = table("claims.plain", column("level", Family.NUMERIC))


def apart(one: Guardrail, *tables: Table) -> dict[tuple[tuple[str, ...], bool, bool], set[str]]:
    """Names of tables, by what is asked of a user there, and whether the table or a column of it is denied."""
    index = compile_policies(catalog(*tables), [], [one])
    (guard,) = index.guardrails
    return {
        (tuple(demand.attribute for demand in each.demands), each.denies_table, each.denies_columns): {
            index.tables[place].id.name for place in places(each.tables)
        }
        for each in guard.restraint_sets
    }


def test_tables_stand_apart_by_whether_a_column_of_them_is_denied():
    tables = HIDING, FLOORED, PLAIN

    assert apart(guardrail(denied_columns=KEYS, mask_floors=FLOOR), *tables) == {
        ((), False, True): {"hiding"},
        ((), False, False): {"floored"},
    }
    assert apart(guardrail(denied_columns=KEYS, row_restriction=parse("level = user_attr('level')")), HIDING, FLOORED) == {
        (("level",), False, True): {"hiding"},
        (("level",), False, False): {"floored"},
    }


def test_tables_whose_columns_have_other_types_stand_together_where_nothing_else_is_asked():
    assert apart(guardrail(row_restriction=parse("level = 7")), FLOORED, PLAIN) == {((), False, False): {"floored", "plain"}}


@pytest.mark.parametrize("operator", [RequirementOperator.IN, RequirementOperator.NOT_IN])
def test_tables_by_the_users_own_values_are_those_that_carry_the_key_in_whatever_schema_and_no_others(operator: RequirementOperator):
    asked = TableSelector(tags=(Requirement("region", operator=operator, values_of="regions"),))
    one = guardrail(tables=asked, denies_tables=True)
    tables = [
        table("claims.carrying", column("id"), tags=(Tag("region", "eu"),)),
        table("claims.bare", column("id")),
        table("hr.other", column("id"), tags=(Tag("domain", "hr"),)),
        table("hr.carrying", column("id"), tags=(Tag("region", "us"),)),
    ]
    index = compile_policies(catalog(*tables), [policy(schemas=frozenset({"claims", "hr"}))], [one])
    left = {str(each.table.id) for each in shown(decide(user(), index))}

    assert index.guardrail_reports[0].tables == 2
    assert left == {"claims.bare", "hr.other"}, "of somebody without the attribute, too, what carries the key is taken away"
    assert {str(each.table.id) for each in shown(decide(user(regions=["eu", "us"]), index))} == left


def test_every_table_that_a_restriction_does_not_fit_is_denied_and_told():
    text, without = table("claims.a", column("level")), table("claims.without", column("id"))
    one = guardrail(row_restriction=parse("level = 7"))
    (report,) = compile_policies(catalog(text, without, PLAIN), [], [one]).guardrail_reports

    assert apart(one, text, without, PLAIN) == {((), True, False): {"a", "without"}, ((), False, False): {"plain"}}
    assert list(apart(one, text, without, PLAIN)) == [((), False, False), ((), True, False)], "in one order, whatever comes first"
    assert {each.table for each in report.problems} == {text.id, without.id}


def test_a_floor_by_name_is_idle_where_no_column_has_the_name_or_it_shows_everything():
    def idle(*floors: MaskRule) -> list[str]:
        (report,) = compile_policies(catalog(HIDING), [], [guardrail(mask_floors=floors)]).guardrail_reports
        told = "this is for no column of the tables, so it takes nothing away; check names and tags"
        assert [each.message for each in report.idle] == [f"{each.field}: {told}" for each in report.idle]
        return [each.field for each in report.idle]

    assert idle(masked(Hash(), "name", name="a")) == []
    assert idle(masked(Hash(), "name", name="a"), masked(Hash(), "absent", name="b")) == ["spec.maskFloors[b].columns"]
    assert idle(masked(Hash(), "name", name="a"), masked(Clear(), "name", name="b")) == ["spec.maskFloors[b].columns"]


def test_what_does_not_hold_is_told_with_its_field_and_table():
    _, unbound = compiled(guardrail(row_restriction=parse("country = 'DE'")))
    _, unshown = compiled(guardrail(mask_floors=(masked(Hash(), "id"),)))

    assert [(each.table, each.field) for each in unbound.problems] == [(PAYMENTS.id, "spec.rowRestriction")]
    clash = masked(Partial(4), "ssn", name="a"), masked(Regex("^.", ""), "ssn", name="b")
    assert [each.column for each in compiled(guardrail(mask_floors=clash))[1].mask_fallbacks] == ["ssn"]
    _, one_of_two = compiled(guardrail(mask_floors=(masked(Hash(), "ssn", name="a"), masked(Round("1"), "ssn", name="b"))))
    assert [each.mask for each in one_of_two.mask_fallbacks] == [Round("1")]
    assert [(each.table, each.column) for each in unshown.mask_fallbacks] == [(TableId("claims", "people"), "id")]
