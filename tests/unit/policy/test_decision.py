"""What one user may read: what is not known closes, and a denial names the way out."""

import pytest

from rolevend.catalog import Family
from rolevend.model import Attributes, ObjectName, Tag
from rolevend.policy.condition import admit
from rolevend.policy.decision import Entitlement, decide, entitlement, switch
from rolevend.policy.index import compile_policies
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial, Reason
from rolevend.policy.request_context import RequestContext
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, Policy, TableSelector
from tests.support.policies import catalog, column, policy, table, user

PEOPLE = table("claims.people", column("id", Family.INTEGER), column("country"))
PAYMENTS = table("claims.payments", column("id", Family.INTEGER), column("country", Family.INTEGER))


def decided(somebody: Attributes, *policies: Policy) -> Entitlement | Denial:
    return decide(somebody, compile_policies(catalog(PEOPLE, PAYMENTS), policies))


def entitled(somebody: Attributes, *policies: Policy) -> dict[str, list[str]]:
    decision = decided(somebody, *policies)
    assert isinstance(decision, Entitlement)
    return {each.table.id.name: [grant.policy.name for grant in each.grants] for each in decision.tables}


def denied(somebody: Attributes, *policies: Policy) -> Denial:
    decision = decided(somebody, *policies)
    assert isinstance(decision, Denial)
    return decision


def test_grants_of_all_policies_that_cover_the_user_are_united_and_carry_their_policy():
    finance = policy("payers", users=(Requirement("department", frozenset({"finance"})),), columns=ColumnSelector(names=("id",)))

    assert entitled(user(), policy("b"), policy("a"), finance) == {"payments": ["a", "b"], "people": ["a", "b"]}
    assert entitled(user(department=["finance"]), policy("a"), finance) == {"payments": ["payers"], "people": ["payers"]}


@pytest.mark.parametrize(
    ("requirements", "covered"),
    [
        ((Requirement("department", frozenset({"claims"})),), True),
        ((Requirement("department", frozenset({"finance", "claims"})),), True),
        ((Requirement("department", frozenset({"finance"})),), False),
        ((Requirement("department", frozenset({"claims"})), Requirement("clearance", frozenset({"high"}))), False),
        ((Requirement("department", frozenset()),), False),
        ((), False),
    ],
)
def test_a_user_must_meet_every_requirement_and_a_policy_without_any_covers_nobody(requirements, covered):
    assert isinstance(decided(user(), policy(users=requirements)), Entitlement) == covered


@pytest.mark.parametrize(
    "source",
    ["country IN (user_attr('countries'))", "NOT (country IN (user_attr('countries')))", "id = 1 OR country = user_attr('countries')"],
)
def test_a_missing_attribute_switches_the_whole_grant_off(source):
    filtered = policy(row_filter=parse(source))

    assert denied(user(), filtered).reason is Reason.ATTRIBUTE_MISSING
    assert denied(Attributes((("countries", ("",)), ("department", ("claims",)))), filtered).reason is Reason.ATTRIBUTE_MISSING
    assert denied(Attributes((("countries", ()), ("department", ("claims",)))), filtered).reason is Reason.ATTRIBUTE_MISSING
    assert "people" in entitled(user(countries=["DE"]), filtered)


def test_a_value_that_one_tables_column_could_not_hold_switches_off_that_table_only():
    filtered = policy(row_filter=parse("country IN (user_attr('countries'))"))

    assert set(entitled(user(countries=["DE"]), filtered)) == {"people"}
    assert set(entitled(user(countries=["49", "DE"]), filtered)) == {"people"}
    assert set(entitled(user(countries=["49"]), filtered)) == {"people", "payments"}


def test_what_is_off_is_told_beside_what_is_on():
    open_to_all = policy("open", row_filter=parse("id = 1"))
    filtered = policy("filtered", row_filter=parse("id = user_attr('level')"))
    decision = decided(user(level=["high"]), open_to_all, filtered)

    assert isinstance(decision, Entitlement)
    (withheld,) = decision.withheld
    assert (withheld.policy, withheld.reason) == (ObjectName("domain", "filtered"), Reason.ATTRIBUTE_UNFIT)


def test_a_denial_says_which_attribute_is_missing():
    assert denied(user(), policy(row_filter=parse("country = user_attr('countries')"))) == Denial(
        Reason.ATTRIBUTE_MISSING,
        "the row filter of policy domain/analysts reads the user attribute 'countries', which the user does not have or has empty; "
        "add it to the user's attributes",
    )


def test_a_denial_never_shows_a_value():
    unfit = denied(user(level=["s3cret"]), policy(row_filter=parse("id = user_attr('level')")))
    uncovered = denied(user(department=["s3cret"]), policy(users=(Requirement("department", frozenset({"hidden"})),)))

    assert unfit.reason is Reason.ATTRIBUTE_UNFIT
    assert "each value must be a whole number" in unfit.message
    assert uncovered == Denial(Reason.NO_POLICY, "no policy covers the user; policies here ask for the user attributes department")
    assert "s3cret" not in unfit.message + uncovered.message
    assert "hidden" not in uncovered.message


def test_an_attribute_to_add_is_named_before_one_to_mend():
    unfit = policy("a", row_filter=parse("id = user_attr('level')"))
    missing = policy("b", row_filter=parse("country = user_attr('countries')"))

    assert denied(user(level=["x"]), unfit, missing).reason is Reason.ATTRIBUTE_MISSING


def test_nobody_is_granted_anything_by_nobody():
    assert denied(user()) == Denial(Reason.NO_POLICY, "no policy covers the user; no policy is in force here")
    assert denied(user(), policy(columns=ColumnSelector(names=("absent",)))) == Denial(
        Reason.NO_TABLE, "policies cover the user but grant no table here: see the conditions of domain/analysts"
    )


def test_what_is_switched_on_determines_the_tables():
    filtered = policy("filtered", row_filter=parse("country = user_attr('countries')"))
    index = compile_policies(catalog(PEOPLE, PAYMENTS), [policy("open"), filtered])
    people = (user(countries=["DE"]), user(countries=["AT"]), user(countries=["1"]))
    one, same, other = (switch(somebody, index) for somebody in people)

    assert one.on == same.on != other.on
    assert entitlement(one, index).tables == entitlement(same, index).tables != entitlement(other, index).tables


class TestTablesWhoseTagMustBeOneOfTheUsersValues:
    EU = table("claims.eu", column("id"), tags=(Tag("region", "eu"),))
    BOTH = table("claims.both", column("id"), tags=(Tag("region", "eu"), Tag("region", "us")))
    UNTAGGED = table("claims.untagged", column("id"), tags=(Tag("domain", "claims"),))

    def names(self, somebody: Attributes, operator: RequirementOperator = RequirementOperator.IN) -> set[str] | Reason:
        chosen = TableSelector(tags=(Requirement("region", operator=operator, values_of="regions"),))
        found = decide(somebody, compile_policies(catalog(self.EU, self.BOTH, self.UNTAGGED), [policy(tables=chosen)]))
        return found.reason if isinstance(found, Denial) else {each.table.id.name for each in found.tables}

    def test_are_granted_where_one_is(self):
        assert self.names(user(regions=["eu"])) == {"eu", "both"}
        assert self.names(user(regions=["us", "apac"])) == {"both"}
        assert self.names(user(regions=["apac"])) is Reason.NO_TABLE

    def test_are_not_granted_to_a_user_without_the_attribute(self):
        assert self.names(user()) is Reason.ATTRIBUTE_MISSING
        assert self.names(user(), RequirementOperator.NOT_IN) is Reason.ATTRIBUTE_MISSING

    @pytest.mark.parametrize("hostile", ["*", "e*", "", "EU", "eu,us", "[a-z]*"])
    def test_take_the_users_value_as_it_stands(self, hostile: str):
        assert isinstance(self.names(user(regions=[hostile])), Reason)

    def test_can_be_those_with_a_tag_that_is_none_of_them(self):
        assert self.names(user(regions=["us"]), RequirementOperator.NOT_IN) == {"eu"}
        assert self.names(user(regions=["eu"]), RequirementOperator.NOT_IN) is Reason.NO_TABLE


FRAUD = admit("fraud", "request.purpose == 'fraud-review'", "expression")


class TestAPolicyWithConditions:
    def test_grants_only_while_all_of_them_hold(self):
        bound = policy(conditions=(FRAUD, admit("short", "request.expirationSeconds <= 900", "expression")))
        index = compile_policies(catalog(PEOPLE), [bound])

        assert isinstance(decide(user(), index, RequestContext(purpose="fraud-review", expiration_seconds=900)), Entitlement)
        for asking in (
            RequestContext(purpose="reporting", expiration_seconds=900),
            RequestContext(purpose="fraud-review", expiration_seconds=901),
            None,
        ):
            assert isinstance(decide(user(), index, asking), Denial)

    def test_says_which_one_does_not_hold_and_no_value(self):
        assert denied(user(), policy(conditions=(FRAUD,))) == Denial(
            Reason.CONDITION_UNMET,
            "policy domain/analysts covers the user, but its condition fraud reads purpose, which is not known",
        )

    def test_spoils_no_other_policy(self):
        broken = policy("broken", conditions=(admit("broken", "[user.subject, 3][0] < 1", "expression"),))

        assert entitled(user(), broken, policy("sound")) == {"payments": ["sound"], "people": ["sound"]}

    def test_and_without_requirements_covers_whomever_they_say(self):
        everybody = policy(users=(), conditions=(admit("all", "!has(user.attributes.suspended)", "expression"),))

        assert "people" in entitled(user(department=["hr"]), everybody)
        assert denied(user(), policy(users=())).reason is Reason.NO_POLICY


class TestAPolicyForSomeAgents:
    TRUSTED = policy("trusted", agents=(Requirement("trust", frozenset({"high"})),))

    def test_grants_through_these_alone(self):
        index = compile_policies(catalog(PEOPLE), [self.TRUSTED])

        assert isinstance(decide(user(), index, RequestContext(agent_attributes=Attributes.of({"trust": ["high"]}.items()))), Entitlement)
        assert isinstance(decide(user(), index, RequestContext(agent_attributes=Attributes.of({"trust": ["low"]}.items()))), Denial)

    def test_takes_no_attribute_of_the_user_for_one_of_the_agent(self):
        assert denied(user(trust=["high"]), self.TRUSTED).reason is Reason.AGENT_NOT_COVERED

    def test_grants_nothing_through_an_agent_of_which_nothing_is_known(self):
        for operator in RequirementOperator:
            asks = policy(agents=(Requirement("trust", frozenset({"low"}), operator),))
            assert denied(user(), asks).reason is Reason.AGENT_NOT_COVERED


def test_to_ask_in_another_way_is_named_before_an_attribute_to_add():
    missing = policy("a", row_filter=parse("country = user_attr('countries')"))

    assert denied(user(), missing, policy("b", conditions=(FRAUD,))).reason is Reason.CONDITION_UNMET
