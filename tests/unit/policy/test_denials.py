"""What a denial says, word for word: the way out, and never a value."""

from rolevend.catalog import Family
from rolevend.model import Attributes, Tag
from rolevend.policy.condition import admit
from rolevend.policy.decision import Entitlement, decide
from rolevend.policy.index import compile_policies
from rolevend.policy.predicate import parse
from rolevend.policy.refusal import Denial, Reason, nothing_in_common
from rolevend.policy.request_context import Combination, GrantTarget, RequestContext
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, Guardrail, Policy, TableSelector
from tests.support.policies import catalog, column, guardrail, policy, table, user

PEOPLE = table("claims.people", column("id", Family.INTEGER), column("country"), tags=(Tag("region", "eu"),))
BY_REGION = policy("regional", tables=TableSelector(tags=(Requirement("region", values_of="regions"),)))
TRUSTED = policy("trusted", agents=(Requirement("trust", frozenset({"high"})), Requirement("owner", frozenset({"us"}))))


def denied(somebody: Attributes, *policies: Policy, guardrails: tuple[Guardrail, ...] = ()) -> Denial:
    decision = decide(somebody, compile_policies(catalog(PEOPLE), policies, guardrails), RequestContext())
    assert isinstance(decision, Denial)
    return decision


def test_which_attributes_of_the_agent_a_policy_asks_for():
    assert denied(user(), TRUSTED) == Denial(
        Reason.AGENT_NOT_COVERED,
        "policy domain/trusted covers the user, but not through this agent: it asks for the agent's attributes owner, trust, "
        "which the DataPlatform says",
    )


def test_that_the_agent_itself_is_granted_nothing_and_that_both_have_nothing_in_common():
    agent = RequestContext(agent_attributes=Attributes.of([("trust", ["high"])]), combination=Combination.INTERSECTION)
    own = policy(
        "own",
        users=(),
        agents=(Requirement("trust", frozenset({"high"})),),
        grants_to=GrantTarget.AGENTS,
        columns=ColumnSelector(names=("id",)),
    )
    mine = policy(columns=ColumnSelector(names=("country",)))

    assert decide(user(), compile_policies(catalog(PEOPLE), [mine]), agent) == Denial(
        Reason.AGENT_NOT_GRANTED,
        "the agent reads only what it is granted itself, too, and no policy that grants to agents grants it anything here; "
        "see its combination, and the attributes that the DataPlatform gives it",
    )
    assert decide(user(), compile_policies(catalog(PEOPLE), [mine, own]), agent) == Denial(
        Reason.NOTHING_IN_COMMON,
        "the agent reads only what both the user and it itself are granted, and no table has a column that both are",
    )
    # What nobody was granted, no guardrail has taken; and that the agent has more is not what the user lacks.
    denies = guardrail("g", denies_tables=True)
    assert decide(user(), compile_policies(catalog(PEOPLE), [mine, own], [denies]), agent) == nothing_in_common()
    assert decide(user(regions=["us"]), compile_policies(catalog(PEOPLE), [BY_REGION, own]), agent) == Denial(
        Reason.NO_TABLE, "no table here has a tag that goes with the user's values of regions"
    )


def test_which_attribute_chooses_tables():
    assert denied(user(), BY_REGION) == Denial(
        Reason.ATTRIBUTE_MISSING,
        "policy domain/regional chooses tables by the user attribute 'regions', which the user does not have; "
        "add it to the user's attributes",
    )


def test_that_no_table_goes_with_the_users_values():
    assert denied(user(regions=["us"]), BY_REGION) == Denial(
        Reason.NO_TABLE, "no table here has a tag that goes with the user's values of regions"
    )


def test_what_each_value_must_be():
    assert denied(user(level=["high"]), policy(row_filter=parse("id = user_attr('level')"))) == Denial(
        Reason.ATTRIBUTE_UNFIT,
        "the row filter of policy domain/analysts reads the user attribute 'level' for a column of type integer; "
        "each value must be a whole number from -2^63 to 2^63-1, such as 42",
    )


def test_at_most_five_policies_and_ten_attributes():
    nowhere = [policy(f"p{number}", columns=ColumnSelector(names=("absent",))) for number in range(6)]
    assert denied(user(), *nowhere).message.endswith("see the conditions of domain/p0, domain/p1, domain/p2, domain/p3, domain/p4, …")
    assert denied(user(), *nowhere[:5]).message.endswith("domain/p3, domain/p4")

    asking = [policy(f"p{number}", users=(Requirement(f"k{number:02}", frozenset({"x"})),)) for number in range(11)]
    assert denied(user(), *asking).message.endswith("ask for the user attributes k00, k01, k02, k03, k04, k05, k06, k07, k08, k09")

    tied = [policy(f"p{number}", tables=TableSelector(tags=(Requirement("region", values_of=f"k{number:02}"),))) for number in range(11)]
    somebody = user(**{f"k{number:02}": ["us"] for number in range(11)})
    assert denied(somebody, *tied).message.endswith("the user's values of k00, k01, k02, k03, k04, k05, k06, k07, k08, k09")


def test_at_most_five_guardrails_each_once():
    limits = tuple(guardrail(f"g{number}", denies_tables=True) for number in range(6))
    assert denied(user(), policy(), guardrails=limits).message.endswith("grant the user here: g0, g1, g2, g3, g4, …")


def test_the_smallest_step_first():
    missing = policy("a", row_filter=parse("country = user_attr('countries')"))
    unfit = policy("b", row_filter=parse("id = user_attr('level')"))
    somebody = user(level=["high"])

    assert denied(somebody, TRUSTED, unfit).reason is Reason.ATTRIBUTE_UNFIT
    assert denied(somebody, TRUSTED, unfit, missing).reason is Reason.ATTRIBUTE_MISSING


def test_one_thing_that_is_missing_is_told_once():
    others = table("claims.others", column("country"), tags=(Tag("region", "us"),))
    index = compile_policies(catalog(PEOPLE, others), [BY_REGION, policy("open")])
    decision = decide(user(), index)

    assert isinstance(decision, Entitlement)
    assert [each.policy.name for each in decision.withheld] == ["regional"]


def test_not_in_of_the_users_values_asks_for_them_all_the_same():
    unlike = policy(tables=TableSelector(tags=(Requirement("region", operator=RequirementOperator.NOT_IN, values_of="regions"),)))

    assert denied(user(), unlike).reason is Reason.ATTRIBUTE_MISSING
    assert denied(user(regions=["eu"]), unlike).reason is Reason.NO_TABLE


def test_whose_grants_are_off_is_told_beside_what_is_on():
    asking = policy("asking", conditions=(admit("fraud", "request.purpose == 'fraud-review'", "expression"),))
    decision = decide(user(), compile_policies(catalog(PEOPLE), [TRUSTED, asking, policy("open")]))

    assert isinstance(decision, Entitlement)
    assert [(each.policy.name, each.reason) for each in decision.withheld] == [
        ("asking", Reason.CONDITION_UNMET),
        ("trusted", Reason.AGENT_NOT_COVERED),
    ]
