"""The verdict on one request: what is not known yet ends nothing, what is refused says why, and a grant never gets narrower unseen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from rolevend.model import Attributes
from rolevend.plan import RoleLimits
from rolevend.policy.predicate import parse
from rolevend.policy.statement import Requirement
from rolevend.vending.verdict import Denied, Undecided, ended_by
from tests.support.policies import policy
from tests.support.registered import AGENT, ANNA, MINE, NOW, PERSON, REQUEST, TERMS, WAREHOUSE, directory, granted, shapes, terms


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
    verdict = directory(**changes).verdict(REQUEST)

    assert isinstance(verdict, Undecided)
    assert (verdict.reason, verdict.withdrawn) == (reason, withdrawn)
    assert said in verdict.message
    assert bool(ended_by(verdict, granted())) == withdrawn


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        (
            {"namespaces": {"agents": {"team": "other"}}},
            "NotPermitted",
            "admits no agents of namespace agents; its spec.agents would have to",
        ),
        ({"agents": {AGENT.name: replace(AGENT, may_assert=False)}}, "NotPermitted", "wants a proof of the user"),
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
    verdict = directory(**changes).verdict(REQUEST)

    assert isinstance(verdict, Denied)
    assert verdict.reason == reason
    assert said in verdict.message
    assert ended_by(verdict, granted()) == verdict.message


def test_where_several_terms_select_a_namespace_the_widest_holds_and_only_of_those_that_permit_the_assertion():
    short = replace(TERMS, longest_seconds=60)
    other = replace(TERMS, labels={"team": "other"}, longest_seconds=86400)
    unproven = replace(TERMS, may_assert=False, longest_seconds=86400)

    assert granted(platforms={WAREHOUSE: terms(short, TERMS)})
    for narrow in (other, unproven):
        verdict = directory(platforms={WAREHOUSE: terms(short, narrow)}).verdict(REQUEST)
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


def test_limits_that_change_end_no_role():
    wider = {WAREHOUSE: terms(replace(TERMS, limits=RoleLimits(connections=1)))}

    assert ended_by(granted(platforms=wider), granted()) == ""


def test_a_platform_that_is_closed_vends_nothing_new_and_its_live_roles_are_still_judged():
    closed = {"platforms": {WAREHOUSE: terms(closed="it is being deleted")}}

    assert isinstance(directory(**closed).verdict(REQUEST), Undecided)
    assert ended_by(directory(**closed).verdict(REQUEST, begun=True), granted()) == ""
    assert ended_by(directory(**closed, people={}).verdict(REQUEST, begun=True), granted())


def test_a_live_role_stays_while_all_that_it_reads_is_granted_unchanged():
    held = granted()
    wider = policy("wider", users=(Requirement("department", frozenset({"hr"})),))

    assert ended_by(granted(), held) == ""
    assert ended_by(granted(shapes={WAREHOUSE: shapes(MINE, wider)}), held) == "", "somebody else's policy"
    assert ended_by(granted(people={ANNA: replace(PERSON, attributes=values(countries=["DE"], job=["analyst"]))}), held) == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"shapes": {WAREHOUSE: shapes(replace(MINE, row_filter=parse("country IN (user_attr('countries')) AND id > 1")))}},
        {"shapes": {WAREHOUSE: shapes(MINE, policy("unfiltered"))}},
    ],
    ids=["narrower", "other rows"],
)
def test_a_live_role_ends_when_what_it_reads_is_granted_otherwise(changes: dict[str, object]):
    assert "no longer granted unchanged" in ended_by(granted(**changes), granted())


def test_a_live_role_ends_when_a_value_that_its_filters_read_changes():
    changed = {ANNA: replace(PERSON, attributes=values(countries=["AT"]))}

    assert "no longer granted unchanged" in ended_by(granted(people=changed), granted())


def test_users_of_one_shape_share_its_profile():
    index = shapes(MINE)

    assert index.of(values(countries=["DE"])) is index.of(values(countries=["AT"]))


def values(**others: list[str]) -> Attributes:
    return Attributes.of(({"department": ["claims"]} | others).items())
