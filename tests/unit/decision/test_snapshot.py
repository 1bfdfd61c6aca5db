"""The verdict on one request: what is not known yet ends nothing, what is refused says why, and a grant never gets narrower unseen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rolevend.catalog import TableId
from rolevend.decision.admission import PlatformAdmission
from rolevend.decision.outcome import SUSPENDED, Denied, Granted, Pending, withdrawal_reason
from rolevend.model import Attributes, PlatformName
from rolevend.plan import RoleLimits
from rolevend.policy.condition import admit
from rolevend.policy.predicate import parse
from rolevend.policy.request_context import Combination, GrantTarget
from rolevend.policy.statement import Requirement, TableSelector
from tests.support.policies import policy
from tests.support.registered import AGENT, ANNA, MINE, NOW, PERSON, REQUEST, TERMS, WAREHOUSE, a_snapshot, granted, shapes, terms


def test_a_grant_names_role_expiry_and_only_the_attributes_that_its_filters_read():
    lease = granted().lease

    assert lease.role.startswith("IMMUTA_VENDED_FINBOT_ANNA_")
    assert lease.expires_at == NOW + timedelta(seconds=900)
    assert lease.attributes == Attributes.of({"countries": ["DE"]}.items())


def test_a_person_without_a_handle_has_an_opaque_one_that_stays_the_same():
    first = granted(people={ANNA: replace(PERSON, handle=None)})
    again = granted(people={ANNA: replace(PERSON, handle=None)})
    elsewhere = granted(people={ANNA: replace(PERSON, handle=None)}, handle_key=b"other" * 8)

    assert first.user_handle == again.user_handle != elsewhere.user_handle
    assert "anna" not in first.user_handle.lower()


def named(name: str, **changes: object) -> PlatformAdmission:
    return replace(terms(replace(TERMS, **changes)), name=PlatformName(name))


def test_an_unknown_platform_is_answered_with_the_names_that_admit_the_agent_and_no_others():
    others = [
        named("crm"),
        named("of-another-namespace", labels={"team": "treasury"}),
        named("of-another-agent", names=frozenset({"other"})),
        named("that-asks-for-proof", may_assert=False, may_prove=True),
    ]
    snapshot = a_snapshot(platforms={each.name: each for each in (terms(), *others)})
    asked = replace(REQUEST, platform=PlatformName("warehose"))

    decision = snapshot.decide(asked)

    assert snapshot.platforms_of(AGENT.name) == ("crm", "warehouse")
    said = "spec.platformRefs: no DataPlatform is named warehose; did you mean warehouse?; Agent finbot may use crm, warehouse"
    assert decision == Pending("PlatformUnknown", said, names_nothing=True)


@pytest.mark.parametrize("changes", [{"agents": {}}, {"namespaces": {}}], ids=["unknown agent", "unknown labels"])
def test_no_names_are_told_before_it_is_known_who_may_use_them(changes: dict[str, object]):
    decision = a_snapshot(**changes).decide(replace(REQUEST, platform=PlatformName("warehose")))

    assert decision == Pending("PlatformUnknown", "spec.platformRefs: no DataPlatform is named warehose", names_nothing=True)


def test_a_platform_that_cannot_be_read_is_waited_for_by_calls_too():
    decision = a_snapshot(platforms={}, unsure={WAREHOUSE: "DataPlatform warehouse cannot be read"}).decide(REQUEST)

    assert decision == Pending("PlatformUnknown", "DataPlatform warehouse cannot be read")


@pytest.mark.parametrize(
    ("changes", "reason", "said", "withdrawn"),
    [
        ({"pending": "nothing was read yet"}, "Starting", "nothing was read yet", False),
        ({"platforms": {}}, "PlatformUnknown", "spec.platformRefs: no DataPlatform is named warehouse", False),
        ({"platforms": {WAREHOUSE: terms(closed="it is being deleted")}}, "PlatformClosed", "it is being deleted", False),
        ({"agents": {}}, "AgentUnknown", "spec.agentRef: no accepted Agent is named finbot in namespace agents", True),
        ({"namespaces": {}}, "NamespaceUnknown", "the labels of namespace agents are not known yet", False),
        ({"shapes": {}}, "CatalogUnread", "the tables of DataPlatform warehouse were not read yet", False),
        ({"shapes": {}, "unsure": {WAREHOUSE: "TagBinding x cannot be read"}}, "CatalogUnread", "TagBinding x cannot be read", False),
    ],
)
def test_what_is_not_known_yet_is_named_and_only_a_deleted_agent_ends_what_lives(
    changes: dict[str, object], reason: str, said: str, withdrawn: bool
):
    verdict = a_snapshot(**changes).decide(REQUEST)

    assert isinstance(verdict, Pending)
    assert (verdict.reason, verdict.withdrawn) == (reason, withdrawn)
    assert said in verdict.message
    assert bool(withdrawal_reason(verdict, granted())) == withdrawn


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        (
            {"namespaces": {"agents": {"team": "other"}}},
            "NotPermitted",
            "admits no agents of namespace agents; its spec.agents would have to",
        ),
        ({"agents": {AGENT.name: replace(AGENT, may_assert=False)}}, "NotPermitted", "requires a proof of the user"),
        (
            {"platforms": {WAREHOUSE: terms(replace(TERMS, may_assert=False))}},
            "NotPermitted",
            "assertion Trusted is not in its spec.agents",
        ),
        ({"agents": {AGENT.name: replace(AGENT, longest_seconds=60)}}, "ExpirationTooLong", "900 is longer than the 60"),
        ({"platforms": {WAREHOUSE: terms(replace(TERMS, longest_seconds=300))}}, "ExpirationTooLong", "900 is longer than the 300"),
        (
            {"agents": {AGENT.name: replace(AGENT, users=(Requirement("department", frozenset({"hr"})),))}},
            "UserNotCovered",
            "spec.user: Agent finbot may not act for anna (https://idp.example.org); see its spec.onBehalfOf.users",
        ),
        ({"people": {}}, "NoPolicy", "; no accepted UserAttributes names anna (https://idp.example.org)"),
        ({"shapes": {WAREHOUSE: shapes()}}, "NoPolicy", "no policy is in force here"),
    ],
)
def test_what_is_refused_says_why_and_ends_what_lives(changes: dict[str, object], reason: str, said: str):
    verdict = a_snapshot(**changes).decide(REQUEST)

    assert isinstance(verdict, Denied)
    assert verdict.reason == reason
    assert said in verdict.message
    assert withdrawal_reason(verdict, granted()) == verdict.message


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"platforms": {}, "unsure": {WAREHOUSE: "DataPlatform warehouse cannot be read"}},
        {"platforms": {WAREHOUSE: terms(closed="it is being deleted")}},
        {"namespaces": {}},
        {"shapes": {}},
    ],
    ids=lambda changes: " and ".join(changes) or "all is read",
)
@pytest.mark.parametrize(
    ("suspension", "what"),
    [
        ({"agents": {AGENT.name: replace(AGENT, suspended=True)}}, "Agent agents/finbot"),
        ({"cluster_suspended": True}, "the whole cluster"),
        ({"cluster_suspended": True, "agents": {}}, "the whole cluster"),
    ],
    ids=["the agent", "the cluster", "the cluster without the agent"],
)
def test_suspension_ends_roles_whatever_else_is_read(suspension: dict[str, object], what: str, changes: dict[str, object]):
    verdict = a_snapshot(**suspension, **changes).decide(REQUEST, role_exists=True)

    assert isinstance(verdict, Denied)
    assert (verdict.reason, verdict.ended_by) == (SUSPENDED, SUSPENDED)
    assert withdrawal_reason(verdict, granted()) == f"{what} is suspended"


def test_where_several_terms_select_a_namespace_the_widest_holds_and_only_of_those_that_permit_the_assertion():
    short = replace(TERMS, longest_seconds=60)
    other = replace(TERMS, labels={"team": "other"}, longest_seconds=86400)
    unproven = replace(TERMS, may_assert=False, longest_seconds=86400)

    assert granted(platforms={WAREHOUSE: terms(short, TERMS)})
    for narrow in (other, unproven):
        verdict = a_snapshot(platforms={WAREHOUSE: terms(short, narrow)}).decide(REQUEST)
        assert isinstance(verdict, Denied)
        assert "longer than the 60" in verdict.message


def test_limits_are_the_widest_of_the_terms_that_permit_the_assertion_each_for_itself():
    many = replace(TERMS, limits=RoleLimits(connections=16, transaction_seconds=60, idle_seconds=600))
    long = replace(TERMS, limits=RoleLimits(connections=2, transaction_seconds=900, idle_seconds=300))
    unproven = replace(TERMS, may_assert=False, limits=RoleLimits(connections=64))

    lease = granted(platforms={WAREHOUSE: terms(many, long, unproven)}).lease

    assert lease.limits == RoleLimits(connections=16, transaction_seconds=900, idle_seconds=600)
    assert granted(platforms={WAREHOUSE: terms(many, TERMS)}).lease.limits.idle_seconds is None, "one of them says never"


@pytest.mark.parametrize(
    ("platforms", "agents", "held"), [(None, None, None), (600, None, 600), (None, 300, 300), (600, 300, 300), (60, 300, 60)]
)
def test_the_shorter_of_the_platforms_and_the_agents_times_gives_an_idle_role_back(
    platforms: int | None, agents: int | None, held: int | None
):
    admits = {WAREHOUSE: terms(replace(TERMS, limits=RoleLimits(idle_seconds=platforms)))}

    lease = granted(platforms=admits, agents={AGENT.name: replace(AGENT, idle_seconds=agents)}).lease

    assert lease.limits == RoleLimits(idle_seconds=held)


@pytest.mark.parametrize(("agents", "held"), [(None, 300), (30, 30), (900, 300)])
def test_an_agent_may_have_its_statements_cut_short_sooner_and_no_later(agents: int | None, held: int):
    admits = {WAREHOUSE: terms(replace(TERMS, limits=RoleLimits(transaction_seconds=300)))}
    lease = granted(platforms=admits, agents={AGENT.name: replace(AGENT, transaction_seconds=agents)}).lease

    assert lease.limits == RoleLimits(transaction_seconds=held)


def test_limits_that_change_end_no_role():
    wider = {WAREHOUSE: terms(replace(TERMS, limits=RoleLimits(connections=1)))}

    assert withdrawal_reason(granted(platforms=wider), granted()) is None


def test_a_platform_that_is_closed_vends_nothing_new_and_its_live_roles_are_still_judged():
    closed = {"platforms": {WAREHOUSE: terms(closed="it is being deleted")}}

    assert isinstance(a_snapshot(**closed).decide(REQUEST), Pending)
    assert withdrawal_reason(a_snapshot(**closed).decide(REQUEST, role_exists=True), granted()) is None
    assert withdrawal_reason(a_snapshot(**closed, people={}).decide(REQUEST, role_exists=True), granted())


def test_a_live_role_stays_while_all_that_it_reads_is_granted_unchanged():
    held = granted()
    wider = policy("wider", users=(Requirement("department", frozenset({"hr"})),))

    assert withdrawal_reason(granted(), held) is None
    assert withdrawal_reason(granted(shapes={WAREHOUSE: shapes(MINE, wider)}), held) is None, "somebody else's policy"
    assert withdrawal_reason(granted(people={ANNA: replace(PERSON, attributes=values(countries=["DE"], job=["analyst"]))}), held) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"shapes": {WAREHOUSE: shapes(replace(MINE, row_filter=parse("country IN (user_attr('countries')) AND id > 1")))}},
        {"shapes": {WAREHOUSE: shapes(MINE, policy("unfiltered"))}},
    ],
    ids=["narrower", "other rows"],
)
def test_a_live_role_ends_when_what_it_reads_is_granted_otherwise(changes: dict[str, object]):
    assert "no longer granted unchanged" in withdrawal_reason(granted(**changes), granted())


def test_a_live_role_ends_when_a_value_that_its_filters_read_changes():
    changed = {ANNA: replace(PERSON, attributes=values(countries=["AT"]))}

    assert "no longer granted unchanged" in withdrawal_reason(granted(people=changed), granted())


def test_users_of_one_shape_share_its_profile():
    index = shapes(MINE)

    assert index.of(values(countries=["DE"])) is index.of(values(countries=["AT"]))


def values(**others: list[str]) -> Attributes:
    return Attributes.of(({"department": ["claims"]} | others).items())


PURPOSE = replace(TERMS, purposes=frozenset({"fraud-review"}))
FRAUD = replace(MINE, conditions=(admit("fraud", "request.purpose == 'fraud-review'", "expression"),))


class TestAPurpose:
    asked = replace(REQUEST, purpose="fraud-review")

    def test_can_be_said_only_where_the_platform_lets_the_agent(self):
        assert isinstance(a_snapshot(platforms={WAREHOUSE: terms(PURPOSE)}).decide(self.asked), Granted)
        for silent in (TERMS, replace(PURPOSE, purposes=frozenset({"reporting"})), replace(PURPOSE, names=frozenset({"another"}))):
            refused = a_snapshot(platforms={WAREHOUSE: terms(TERMS, silent)}).decide(self.asked)
            assert isinstance(refused, Denied)
            assert (refused.reason, refused.message.split(":")[0]) == ("NotPermitted", "spec.purpose")

    def test_is_seen_by_policies(self):
        known = a_snapshot(platforms={WAREHOUSE: terms(PURPOSE)}, shapes={WAREHOUSE: shapes(FRAUD)})

        assert isinstance(known.decide(self.asked), Granted)
        unsaid = known.decide(REQUEST)
        assert isinstance(unsaid, Denied)
        assert unsaid.reason == "ConditionUnmet"

    def test_that_may_no_longer_be_said_ends_a_live_role(self):
        held = a_snapshot(platforms={WAREHOUSE: terms(PURPOSE)}).decide(self.asked)

        assert isinstance(held, Granted)
        assert withdrawal_reason(a_snapshot().decide(self.asked), held).startswith("spec.purpose: ")


class TestTheAttributesOfAnAgent:
    LOW = replace(TERMS, attributes=Attributes.of({"trust": ["low"]}.items()))
    HIGH = replace(TERMS, attributes=Attributes.of({"trust": ["high"]}.items()), names=frozenset({"finbot"}))
    TRUSTING = replace(MINE, agents=(Requirement("trust", frozenset({"high"})),))

    def test_are_those_of_all_items_that_select_it(self):
        found = a_snapshot(platforms={WAREHOUSE: terms(self.LOW, self.HIGH)}).asking(REQUEST)

        assert found.agent_attributes == Attributes.of({"trust": ["high", "low"]}.items())

    def test_decide_what_it_gets(self):
        trusting = {WAREHOUSE: shapes(self.TRUSTING)}

        assert granted(platforms={WAREHOUSE: terms(self.HIGH)}, shapes=trusting)
        for other in (self.LOW, TERMS):
            refused = a_snapshot(platforms={WAREHOUSE: terms(other)}, shapes=trusting).decide(REQUEST)
            assert isinstance(refused, Denied)
            assert refused.reason == "AgentNotCovered"

    def test_end_a_live_role_when_they_are_taken_away(self):
        trusting = {WAREHOUSE: shapes(self.TRUSTING)}
        held = granted(platforms={WAREHOUSE: terms(self.HIGH)}, shapes=trusting)

        assert withdrawal_reason(a_snapshot(platforms={WAREHOUSE: terms(self.LOW)}, shapes=trusting).decide(REQUEST), held)


class TestTheCombinationOfAnAgent:
    OWN = policy("own", users=(), agents=(Requirement("trust", frozenset({"high"})),), grants_to=GrantTarget.AGENTS)
    PEOPLE = replace(MINE, tables=TableSelector(names=(TableId("claims", "people"),)))
    UNION, USER_CEILING, INTERSECTION = Combination

    def changes(self, said: Combination | None, *bounds: Combination) -> dict[str, object]:
        """The user is granted the table people, and the agent itself everything."""
        trusted = replace(TERMS, attributes=Attributes.of([("trust", ["high"])]))
        return {
            "agents": {AGENT.name: replace(AGENT, combination=said)},
            "platforms": {WAREHOUSE: terms(*(replace(trusted, widest=bound) for bound in bounds))},
            "shapes": {WAREHOUSE: shapes(self.PEOPLE, self.OWN)},
        }

    def tables(self, said: Combination | None, *bounds: Combination) -> set[str]:
        return {table.table.name for table in granted(**self.changes(said, *bounds)).tables}

    def test_is_as_wide_as_the_platform_permits_where_it_says_nothing(self):
        assert self.tables(None, self.UNION) == {"people", "payments"}
        assert self.tables(None, self.USER_CEILING) == {"people"}
        assert self.tables(None, self.INTERSECTION, self.UNION) == {"people", "payments"}, "the widest of the items that select it"

    def test_may_be_narrower_than_the_platform_permits(self):
        assert self.tables(self.USER_CEILING, self.UNION) == {"people"}
        (rows,) = {table.rows for table in granted(**self.changes(self.INTERSECTION, self.UNION)).tables}
        assert rows == granted().tables[0].rows

    @pytest.mark.parametrize(("said", "bound"), [("Union", "UserCeiling"), ("Union", "Intersection"), ("UserCeiling", "Intersection")])
    def test_that_is_wider_is_not_permitted_and_ends_a_live_role(self, said: str, bound: str):
        held = granted(**self.changes(Combination(said), self.UNION))

        verdict = a_snapshot(**self.changes(Combination(said), Combination(bound))).decide(REQUEST)

        assert isinstance(verdict, Denied)
        assert verdict.reason == "NotPermitted"
        assert f"spec.combination {said} of Agent finbot is wider than {bound}" in verdict.message
        assert withdrawal_reason(verdict, held)

    def test_counts_only_items_that_let_the_agent_in(self):
        unproven = replace(TERMS, may_assert=False, widest=self.UNION)
        platforms = {WAREHOUSE: terms(replace(TERMS, attributes=Attributes.of([("trust", ["high"])])), unproven)}

        changes = {**self.changes(None), "platforms": platforms}

        assert {table.table.name for table in granted(**changes).tables} == {"people"}

    def test_that_gets_narrower_ends_a_live_role_and_one_that_gets_wider_does_not(self):
        union, ceiling, crossed = (granted(**self.changes(each, self.UNION)) for each in Combination)

        assert withdrawal_reason(ceiling, union)
        assert withdrawal_reason(crossed, union)
        assert not withdrawal_reason(ceiling, crossed)


def test_an_agent_that_no_item_names_is_not_admitted():
    verdict = a_snapshot(platforms={WAREHOUSE: terms(replace(TERMS, names=frozenset({"another"})))}).decide(REQUEST)

    assert isinstance(verdict, Denied)
    assert verdict.message.startswith("DataPlatform warehouse admits no agent agents/finbot;")


class TestResources:
    PEOPLE = TableId("claims", "people")

    def test_narrow_the_lease_and_leave_the_profile_as_it_is(self):
        narrow = a_snapshot().decide(replace(REQUEST, resources=(self.PEOPLE,)))

        assert isinstance(narrow, Granted)
        assert narrow.profile == granted().profile
        assert narrow.lease.resources == (self.PEOPLE,)
        assert [table.table for table in narrow.tables] == [self.PEOPLE]

    def test_that_are_not_granted_are_refused_in_the_same_words_whether_they_are_there_or_not(self):
        few = {WAREHOUSE: shapes(replace(MINE, tables=TableSelector(names=(self.PEOPLE,))))}

        def said(table: TableId) -> str:
            verdict = a_snapshot(shapes=few).decide(replace(REQUEST, resources=(self.PEOPLE, table)))
            assert isinstance(verdict, Denied)
            assert verdict.reason == "ResourceNotGranted"
            return verdict.message.replace(str(table), "TABLE")

        assert said(TableId("claims", "payments")) == said(TableId("claims", "absent")) == said(TableId("hr", "staff"))
        assert said(TableId("claims", "*")) == "spec.resources: TABLE is not granted to this user through this agent, or is not there"

    def test_of_which_one_is_no_longer_granted_end_the_role(self):
        asked = replace(REQUEST, resources=(self.PEOPLE,))
        held = a_snapshot().decide(asked)
        few = {WAREHOUSE: shapes(replace(MINE, tables=TableSelector(names=(TableId("claims", "payments"),))))}

        assert isinstance(held, Granted)
        assert "people is not granted" in withdrawal_reason(a_snapshot(shapes=few).decide(asked), held)

    def test_outlive_what_they_leave_out(self):
        """Each table has a filter of its own: what the role does not read may be lost, and what that asks of its user may change."""
        asked = replace(REQUEST, resources=(self.PEOPLE,))
        people = replace(MINE, tables=TableSelector(names=(self.PEOPLE,)))
        payments = policy(
            "payments", tables=TableSelector(names=(TableId("claims", "payments"),)), row_filter=parse("id IN (user_attr('levels'))")
        )
        known = replace(PERSON, attributes=values(countries=["DE"], levels=["1"]))
        both = {"shapes": {WAREHOUSE: shapes(people, payments)}, "people": {ANNA: known}}
        narrow, whole = (a_snapshot(**both).decide(each) for each in (asked, REQUEST))
        assert isinstance(narrow, Granted)
        assert isinstance(whole, Granted)
        promoted = {"people": {ANNA: replace(PERSON, attributes=values(countries=["DE"], levels=["2"]))}}
        moved = {"people": {ANNA: replace(PERSON, attributes=values(countries=["AT"], levels=["1"]))}}

        for change in ({"shapes": {WAREHOUSE: shapes(people)}}, promoted):
            assert withdrawal_reason(a_snapshot(**(both | change)).decide(asked), narrow) is None
            assert withdrawal_reason(a_snapshot(**(both | change)).decide(REQUEST), whole)
        assert withdrawal_reason(a_snapshot(**(both | moved)).decide(asked), narrow)
        assert withdrawal_reason(a_snapshot(**(both | {"shapes": {WAREHOUSE: shapes(payments)}})).decide(asked), narrow)
