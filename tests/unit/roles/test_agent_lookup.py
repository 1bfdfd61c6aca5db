"""Which registered Agent bears a token: exactly the one whose identity was proven, and nothing is told of the others."""

from dataclasses import replace

import pytest

from rolevend.api.authenticator import agent_wanted, find_agent
from rolevend.decision.admission import Agent
from rolevend.decision.proof import ClientIdentity, ServiceAccountIdentity
from rolevend.identity.proven import OwnSubject, Party, ProvenAgent, ServiceAccount, TokenFacts
from rolevend.identity.provider import TokenType
from rolevend.identity.refusal import Code, Standing, TokenRefused
from rolevend.model import AgentHandle, ObjectName, Uid
from tests.support.registered import AGENT, NOW, a_snapshot
from tests.support.tokens import AS_AGENT, CLUSTER, ISSUER, OTHER_ISSUER, UID, agent_token, checked, service_account_token

POD = replace(AGENT, identity=ServiceAccountIdentity("finbot"))
CLIENT = Agent(
    ObjectName("partners", "portal"),
    AgentHandle("PORTAL"),
    may_assert=False,
    users=(),
    longest_seconds=60,
    identity=ClientIdentity(ISSUER, frozenset({"portal-web", "portal-batch"}), "service-account-7f1c"),
)
NAMELESS = Agent(ObjectName("agents", "trusted"), AgentHandle("TRUSTED"), may_assert=True, users=(), longest_seconds=60)
REGISTERED = a_snapshot(agents={each.name: each for each in (POD, CLIENT, NAMELESS)}, cluster_issuer=CLUSTER)
FACTS = TokenFacts(TokenType.ACCESS_TOKEN, "workforce", "0" * 64, NOW, NOW, None)


def account(namespace: str, name: str, issuer: str = CLUSTER) -> ProvenAgent:
    found = ServiceAccount(ObjectName(namespace, name), Uid(UID), None)
    return ProvenAgent(Party(issuer, f"system:serviceaccount:{namespace}:{name}"), None, found, FACTS)


def client(issuer: str, client_id: str, subject: str = "") -> ProvenAgent:
    return ProvenAgent(Party(issuer, subject or client_id), Party(issuer, client_id), None, FACTS)


@pytest.mark.parametrize(
    ("proven", "agent"),
    [
        (account("agents", "finbot"), POD),
        (client(ISSUER, "portal-web"), CLIENT),
        (client(ISSUER, "portal-batch", "service-account-7f1c"), CLIENT),
    ],
)
def test_whoever_is_registered_is_that_agent(proven: ProvenAgent, agent: Agent):
    assert find_agent(proven, REGISTERED) is agent


@pytest.mark.parametrize(
    "proven",
    [
        account("partners", "finbot"),
        account("agents", "portal"),
        account("agents", "trusted"),
        account("agents", "finbot", "https://another.cluster.local"),
        client(OTHER_ISSUER, "portal-web"),
        client(ISSUER, "portal"),
        client(ISSUER, "finbot"),
        client(ISSUER, "PORTAL-WEB"),
        client(ISSUER, "service-account-7f1c"),
        client(ISSUER, "system:serviceaccount:agents:finbot"),
    ],
)
def test_everybody_else_is_refused_alike(proven: ProvenAgent):
    with pytest.raises(TokenRefused) as refused:
        find_agent(proven, REGISTERED)

    assert (refused.value.code, refused.value.standing) == (Code.AGENT_UNKNOWN, Standing.NOT_ALLOWED)
    assert str(refused.value) == "the token belongs to no registered agent"


def test_where_no_issuer_is_the_clusters_no_account_is_an_agent():
    with pytest.raises(TokenRefused):
        find_agent(account("agents", "finbot"), a_snapshot(agents={POD.name: POD}))


def test_tokens_that_were_checked_lead_to_their_agents():
    wanted = agent_wanted(REGISTERED)
    web = checked(agent_token(client_id="portal-web", sub="service-account-7f1c"), wanted)
    pod = checked(service_account_token(), wanted)

    assert isinstance(web, ProvenAgent)
    assert isinstance(pod, ProvenAgent)
    assert (find_agent(web, REGISTERED), find_agent(pod, REGISTERED)) == (CLIENT, POD)


@pytest.mark.parametrize(
    ("client_id", "subject"),
    [("portal-web", "anna"), ("portal-web", "portal-batch"), ("finbot", "service-account-7f1c"), ("trusted", "trusted-sub")],
)
def test_only_the_subject_that_an_agent_is_registered_with_is_its_own(client_id: str, subject: str):
    with pytest.raises(TokenRefused) as refused:
        checked(agent_token(client_id=client_id, sub=subject), agent_wanted(REGISTERED))

    assert refused.value.code is Code.NOT_AN_AGENTS_OWN


def test_whose_subject_is_another_is_asked_of_the_directory_alone():
    own = OwnSubject(Party(ISSUER, "portal-web"), "service-account-7f1c")

    assert own in agent_wanted(REGISTERED).own_subjects
    assert own not in agent_wanted(a_snapshot()).own_subjects
    assert own not in AS_AGENT.own_subjects
