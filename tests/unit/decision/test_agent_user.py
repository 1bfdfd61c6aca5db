"""An agent's own user on a platform: who may name one, whose roles are granted to it, and what is said of it."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from rolevend.decision.outcome import Denied, Granted, Pending, withdrawal_reason
from rolevend.errors import InvalidInput
from rolevend.kinds import NAME_LABEL, Agent, DataPlatform, parse
from rolevend.kube.credentials import _login_keys
from rolevend.model import AgentHandle, ObjectName, RoleName
from rolevend.platforms.protocol import Account, KeyPairCredential
from tests.support.manifests import MISSING, NO_POSTGRES, Body, changed
from tests.support.painted import CRM, OBJECTS, REQUEST, WAREHOUSE, answering, message, paint, raw, raw_agent, said, verdict

USER = "FINBOT_SVC"


AGENTS = {"team": "claims", NAME_LABEL: "agents"}
"""Labels of the agent's namespace."""


def spelled(
    *users: str | None,
    principal: str = "AgentUser",
    names: tuple[str, ...] = ("finbot",),
    labels: Mapping[str, str] = AGENTS,
    name: str = WAREHOUSE,
) -> Body:
    """One item of terms for each of `users`, all for the agents of these names in the namespaces with these labels."""
    account = {"account": "myorg-account1", "database": "SALES", "warehouse": "AGENTS_WH", "principal": principal}
    body = raw("DataPlatform", name, "", *NO_POSTGRES, ("spec.snowflake", account), ("spec.agents[0].tools", MISSING))
    terms = {**body["spec"]["agents"][0], "agentNames": list(names), "namespaceSelector": {"matchLabels": dict(labels)}}
    return changed(body, "spec.agents", [{**terms, **({} if user is None else {"agentUser": user})} for user in users])


def painted(*users: str | None, principal: str = "AgentUser"):
    platform = parse(DataPlatform, spelled(*users, principal=principal))
    return paint(replace(OBJECTS, platforms=[platform], namespaces={"agents": AGENTS}))


def given(*users: str | None) -> Granted:
    found = verdict(painted(*users))
    assert isinstance(found, Granted), found
    return found


def test_its_roles_are_granted_to_the_user_that_the_platform_names_for_it():
    assert given(USER).lease.agent_user == USER
    assert given(USER, None).lease.agent_user == USER
    assert given(None).lease.agent_user is None


def test_two_users_for_one_agent_are_none():
    found = verdict(painted(USER, "OTHER_SVC"))

    assert isinstance(found, Denied)
    assert (found.reason, "FINBOT_SVC and OTHER_SVC; see the agentUser in its spec.agents" in found.message) == ("NotPermitted", True)


def test_an_agent_of_that_name_in_another_namespace_gets_no_role_of_that_user():
    """Whoever may make a namespace with the same labels, and an Agent in it."""
    other = ObjectName("elsewhere", "finbot")
    theirs = parse(Agent, changed(changed(raw_agent(), "metadata.namespace", "elsewhere"), "spec.handle", "THEIRBOT"))
    namespaces = {"agents": AGENTS, "elsewhere": {**AGENTS, NAME_LABEL: "elsewhere"}}
    built = paint(replace(OBJECTS, platforms=[parse(DataPlatform, spelled(USER))], agents=[*OBJECTS.agents, theirs], namespaces=namespaces))

    mine, found = verdict(built), verdict(built, request=replace(REQUEST, agent=other, name=ObjectName("elsewhere", "ask")))

    assert built.snapshot.agents[other].handle == AgentHandle("THEIRBOT")
    assert isinstance(mine, Granted)
    assert mine.lease.agent_user == USER
    assert isinstance(found, Denied)
    assert (found.reason, "admits no agent elsewhere/finbot" in found.message) == ("NotPermitted", True)


def test_a_second_platform_of_the_account_gives_its_users_to_nobody():
    platforms = [parse(DataPlatform, spelled(USER, name=name)) for name in (CRM, WAREHOUSE)]
    one_account = {name: answering("myorg-account1") for name in (CRM, WAREHOUSE)}

    built = paint(replace(OBJECTS, platforms=platforms, namespaces={"agents": AGENTS}), one_account)

    assert said(built, CRM, "Accepted") == ("True", "Valid")
    assert said(built, WAREHOUSE, "Accepted") == ("False", "Conflict")
    assert message(built, WAREHOUSE, "Accepted").startswith("spec.snowflake: this is the account of DataPlatform crm")
    assert isinstance(verdict(built), Pending)


def test_a_live_role_ends_where_its_agent_logs_in_as_somebody_else_now():
    assert withdrawal_reason(given(USER), given(USER)) is None
    assert withdrawal_reason(given("OTHER_SVC"), given(USER)) is not None
    assert withdrawal_reason(given(None), given(USER)) is not None
    assert withdrawal_reason(given(USER), given(None)) is not None


def test_the_platform_warns_of_it_for_as_long_as_it_is_so():
    warned = painted(USER)

    assert said(warned, WAREHOUSE, "Isolated") == ("False", "AgentUser")
    assert "roles are granted to the user FINBOT_SVC of agent agents/finbot" in message(warned, WAREHOUSE, "Isolated")
    assert "nothing but the agent keeps two people apart" in message(warned, WAREHOUSE, "Isolated")
    assert said(warned, WAREHOUSE, "Ready")[0] == "True"
    assert said(painted(None), WAREHOUSE, "Isolated") == ("True", "EphemeralUser")


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        (spelled(USER, principal="EphemeralUser"), "spec.agents", "must not be set without snowflake.principal: AgentUser"),
        (spelled(USER, names=("finbot", "other")), "spec.agents[0].agentUser", "agentNames must name only it"),
        (spelled(USER, labels={"team": "claims"}), "spec.agents[0].agentUser", "must name its namespace, by kubernetes.io/metadata.name"),
        (spelled(USER, USER), "spec.agents", "give each agent a user of its own, in one item"),
        (spelled("ROLEVEND_VENDOR"), "spec.agents[0].agentUser", "must not be a user of rolevend's own"),
        (spelled("immuta_vended_x"), "spec.agents[0].agentUser", "must not be a user of rolevend's own"),
    ],
    ids=["not opted in", "two agents", "two namespaces", "two items", "the vendor", "a vended user"],
)
def test_what_cannot_be_is_refused_with_its_field(body: Body, field: str, why: str):
    with pytest.raises(InvalidInput) as refused:
        parse(DataPlatform, body)

    assert str(refused.value).startswith(f"{field}: ")
    assert why in str(refused.value)


def test_the_secret_of_such_a_role_holds_no_key():
    account = Account("a", "a.snowflakecomputing.com", 443, "SALES", "AGENTS_WH")
    held = _login_keys(KeyPairCredential(RoleName("IMMUTA_VENDED_X"), USER, None, account), "")

    assert (held["username"], held["role"], "private_key" in held) == (USER, "IMMUTA_VENDED_X", False)
