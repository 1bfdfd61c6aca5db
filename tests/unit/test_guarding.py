"""What guardrails take away, compiled, and what is told of it."""

from rolevend.catalog import Family, TableId
from rolevend.model import Tag
from rolevend.policy.decision import Entitlement, decide
from rolevend.policy.guarding import CompiledGuardrail, GuardrailReport, Restraint
from rolevend.policy.index import compile_policies
from rolevend.policy.mask import Hash, Partial, Regex, Round
from rolevend.policy.predicate import parse
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, TableSelector
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


def test_what_does_not_hold_is_told_with_its_field_and_table():
    _, unbound = compiled(guardrail(row_restriction=parse("country = 'DE'")))
    _, unshown = compiled(guardrail(mask_floors=(masked(Hash(), "id"),)))

    assert [(each.table, each.field) for each in unbound.problems] == [(PAYMENTS.id, "spec.rowRestriction")]
    clash = masked(Partial(4), "ssn", name="a"), masked(Regex("^.", ""), "ssn", name="b")
    assert [each.column for each in compiled(guardrail(mask_floors=clash))[1].mask_fallbacks] == ["ssn"]
    _, one_of_two = compiled(guardrail(mask_floors=(masked(Hash(), "ssn", name="a"), masked(Round("1"), "ssn", name="b"))))
    assert [each.mask for each in one_of_two.mask_fallbacks] == [Round("1")]
    assert [(each.table, each.column) for each in unshown.mask_fallbacks] == [(TableId("claims", "people"), "id")]
