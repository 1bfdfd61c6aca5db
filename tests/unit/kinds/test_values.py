"""What parsed objects mean to the core."""

import pytest

from rolevend.catalog import TableId, TagAssignment
from rolevend.errors import InvalidInput
from rolevend.kinds import AccessPolicy, Agent, DataPlatform, TagBinding, UserAttributes, VendedRole, parse, statements, values
from rolevend.model import Attributes, ObjectName, Tag, User
from rolevend.plan import RoleLimits
from rolevend.platforms.protocol import Account, Address, Tls, TlsMode
from rolevend.policy import predicate
from rolevend.policy.mask import Constant, DateTrunc, Hash, Nullify, Partial, Regex, Round, Unit
from rolevend.policy.requirement import Requirement, RequirementOperator
from rolevend.policy.statement import ColumnSelector, TableSelector
from tests.support.manifests import MISSING, changed, every_row, on_snowflake, valid

CLAIMS = frozenset({"claims"})


def test_a_policy_says_whom_what_and_how():
    policy = statements.policy(parse(AccessPolicy, valid("AccessPolicy", "analysts", "domain-claims")), CLAIMS)

    assert policy.id == ObjectName("domain-claims", "analysts")
    assert policy.schemas == CLAIMS
    assert policy.users == (Requirement("job", frozenset({"analyst"})),)
    assert policy.tables == TableSelector(
        (
            Requirement("domain", frozenset({"claims"})),
            Requirement("region", operator=RequirementOperator.NOT_IN, values_of="regions"),
            Requirement("retired", operator=RequirementOperator.DOES_NOT_EXIST),
        ),
        (TableId("claims", "*"),),
    )
    assert policy.columns == ColumnSelector((), ("*",))
    assert policy.row_filter == predicate.parse("country IN (user_attr('countries'))")
    assert [(rule.name, rule.mask) for rule in policy.masks] == [
        ("ids", Hash()),
        ("names", Partial(2)),
        ("births", DateTrunc(Unit.YEAR)),
        ("notes", Constant("(withheld)")),
        ("rest", Nullify()),
    ]
    assert policy.masks[0].columns == ColumnSelector((Requirement("pii", frozenset({"id"})),), ())


def test_a_policy_without_a_filter_shows_every_row():
    assert statements.policy(parse(AccessPolicy, every_row(valid("AccessPolicy"))), CLAIMS).row_filter is None


@pytest.mark.parametrize("text", ["1 = 1", "country IN (SELECT 1)", "country =", "'"])
def test_a_filter_that_cannot_be_is_refused_under_its_field(text):
    policy = parse(AccessPolicy, changed(valid("AccessPolicy"), "spec.rowFilter", text))

    with pytest.raises(InvalidInput) as refused:
        statements.policy(policy, CLAIMS)

    assert refused.value.field == "spec.rowFilter"
    assert str(refused.value).count("spec.rowFilter") == 1


def rule(**fields: object) -> dict[str, object]:
    return {"name": "rule", "columns": {"matchNames": ["*"]}, **fields}


@pytest.mark.parametrize(
    ("spelled", "mask"),
    [
        (rule(type="Round", round={"step": "2500"}), Round("2500")),
        (rule(type="Round", round={"step": "0.50"}), Round("0.5")),
        (rule(type="Regex", regex={"pattern": "^[^@]+", "replacement": "***"}), Regex("^[^@]+", "***")),
        (rule(type="Regex", regex={"pattern": "(a)b", "replacement": r"\1"}), Regex("(a)b", r"\1")),
        (rule(type="Regex", regex={"pattern": "a", "replacement": ""}), Regex("a", "")),
    ],
)
def test_a_mask_has_its_parameters(spelled, mask):
    policy = statements.policy(parse(AccessPolicy, changed(valid("AccessPolicy"), "spec.masks[0]", spelled)), CLAIMS)

    assert policy.masks[0].mask == mask


@pytest.mark.parametrize(
    ("pattern", "replacement", "field"), [("(a+)+", "", "pattern"), (".*", "", "pattern"), ("a", r"\1", "replacement")]
)
def test_a_pattern_that_cannot_be_is_refused_under_its_field(pattern, replacement, field):
    spelled = rule(type="Regex", regex={"pattern": pattern, "replacement": replacement})

    with pytest.raises(InvalidInput) as refused:
        statements.policy(parse(AccessPolicy, changed(valid("AccessPolicy"), "spec.masks[0]", spelled)), CLAIMS)

    assert refused.value.field == f"spec.masks[rule].regex.{field}"


def test_tags_reach_only_the_schemas_of_the_namespace():
    body = changed(valid("TagBinding"), "spec.tables[0].schema", "*")
    body = changed(body, "spec.columns[0].schema", "hr")

    assignments = statements.tag_assignments(parse(TagBinding, body), frozenset({"claims", "reports"}))

    domain = frozenset({Tag("domain", "claims")})
    assert assignments == (TagAssignment("claims", "*", None, domain), TagAssignment("reports", "*", None, domain))


def test_a_person_is_who_the_identity_provider_says():
    person = values.known_user(parse(UserAttributes, valid("UserAttributes")))

    attributes = Attributes.of([("countries", ["AT", "DE"]), ("job", ["analyst"])])
    assert person == (User("https://idp.example.org", "anna"), "ANNA", attributes)


def test_a_person_without_a_handle_has_none():
    assert values.known_user(parse(UserAttributes, changed(valid("UserAttributes"), "spec.handle", MISSING)))[1] is None


def test_a_vended_role_is_for_an_agent_of_its_own_namespace():
    assert values.agent_of(parse(VendedRole, valid("VendedRole", namespace="agents"))) == ObjectName("agents", "finbot")


def test_an_agent_may_be_for_some_users_or_for_all():
    assert statements.agent_users(parse(Agent, valid("Agent"))) == (Requirement("department", frozenset({"claims"})),)
    assert statements.agent_users(parse(Agent, changed(valid("Agent"), "spec.onBehalfOf.users", MISSING))) == ()


def test_a_platform_says_where_it_is_and_who_owns_what():
    platform = parse(DataPlatform, valid("DataPlatform"))

    assert values.address(platform) == Address("db.example.org", 5432, "claims")
    assert values.address(platform, "PEM").tls == Tls(TlsMode.VERIFY_FULL, "PEM")
    assert values.schemas_of(platform) == {"domain-claims": CLAIMS, "domain-hr": frozenset({"hr"})}
    assert values.contested(platform) == {}


def test_a_schema_of_two_namespaces_is_neithers_and_governed_all_the_same():
    platform = parse(DataPlatform, changed(valid("DataPlatform"), "spec.domains[1].schemas", ["payroll", "claims"]))

    assert values.schemas_of(platform) == {"domain-claims": frozenset(), "domain-hr": frozenset({"payroll"})}
    assert values.contested(platform) == {"claims": ("domain-claims", "domain-hr")}
    assert values.governed(platform) == frozenset({"claims", "payroll"})


def test_a_platform_that_says_nothing_of_limits_has_those_that_suit_a_shared_server():
    (terms,) = parse(DataPlatform, valid("DataPlatform")).spec.agents
    silent = parse(DataPlatform, changed(valid("DataPlatform"), "spec.agents[0].roleLimits", MISSING)).spec.agents[0]

    assert values.role_limits(terms.role_limits) == RoleLimits(4, 120, 30, 256, 900)
    assert values.role_limits(silent.role_limits) == RoleLimits()


def snowflake(**changes: object) -> DataPlatform:
    spelled = {"account": "myorg-account1", "database": "CLAIMS", "warehouse": "AGENTS_WH", **changes}
    return parse(DataPlatform, on_snowflake(spelled))


def test_an_account_is_found_under_its_own_name_or_where_the_object_says():
    plain, private = snowflake(), snowflake(host="myorg.privatelink.example.org", port=8443)

    assert plain.spec.snowflake is not None
    assert private.spec.snowflake is not None
    assert values.account(plain.spec.snowflake) == Account(
        "myorg-account1", "myorg-account1.snowflakecomputing.com", 443, "CLAIMS", "AGENTS_WH"
    )
    assert values.account(private.spec.snowflake).host == "myorg.privatelink.example.org"
    assert values.account(private.spec.snowflake).port == 8443


def test_an_account_in_the_clear_is_on_this_machine_alone():
    local = snowflake(protocol="HTTP", host="127.0.0.1", port=8085).spec.snowflake

    assert local is not None
    assert not values.account(local).encrypted
    with pytest.raises(InvalidInput, match=r"spec\.snowflake\.protocol: protocol HTTP is only for a local model of Snowflake"):
        snowflake(protocol="HTTP", host="snowflake.example.org")


def test_a_platform_is_of_one_kind():
    with pytest.raises(InvalidInput, match="exactly one kind of platform must be set, of: postgres, snowflake"):
        parse(DataPlatform, changed(valid("DataPlatform"), "spec.snowflake", {"account": "a", "database": "D", "warehouse": "W"}))
