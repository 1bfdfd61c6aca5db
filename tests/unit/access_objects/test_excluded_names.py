"""Which accounts never approve a request."""

from dataclasses import replace

import pytest

from rolevend.access_objects.circumstances import excluded_names
from rolevend.decision.proof import Claimed, ClientIdentity, Proof, UserProof
from rolevend.decision.snapshot_inputs import KubernetesUsername
from rolevend.model import Attributes
from tests.support.registered import AGENT, ANNA, NOW, PERSON, REQUEST, a_snapshot

ISSUER = "https://idp.example.org"
CLIENT = replace(AGENT, identity=ClientIdentity(ISSUER, frozenset({"finbot", "finbot-canary"}), "finbot-subject"))


@pytest.mark.parametrize("prefix", ["", "oidc:", "oidc#", f"{ISSUER}#"])
@pytest.mark.parametrize("name", ["anna", "finbot", "finbot-canary", "finbot-subject"])
def test_neither_the_user_nor_an_agent_does_under_any_prefix_of_an_api_server(prefix: str, name: str):
    assert f"{prefix}{name}" in excluded_names(REQUEST, a_snapshot(agents={AGENT.name: CLIENT}))


def test_the_account_that_created_the_request_does_not():
    bot = "system:serviceaccount:agents:bot"

    assert bot in excluded_names(replace(REQUEST, requested_by=bot), a_snapshot())


NAMED = {ISSUER: KubernetesUsername("email", "corp/")}


@pytest.mark.parametrize("prefix", ["", "corp/", "oidc:", f"{ISSUER}#"])
@pytest.mark.parametrize("is_in_token", [True, False])
def test_the_user_does_not_under_the_name_that_the_issuers_users_have_in_kubernetes(prefix: str, *, is_in_token: bool):
    email = ("anna@example.org",)
    proof = Proof(UserProof.TOKEN, "workforce", "AccessToken", "digest", NOW, attributes=(Claimed("email", email, "claim email"),))
    request = replace(REQUEST, proof=proof if is_in_token else None)
    person = PERSON if is_in_token else replace(PERSON, attributes=Attributes.of([*PERSON.attributes, ("email", email)]))

    names = excluded_names(request, a_snapshot(usernames=NAMED, people={ANNA: person}))

    assert f"{prefix}anna@example.org" in names
    assert "anna" in names


def test_the_name_is_that_of_the_users_own_issuer():
    names = excluded_names(REQUEST, a_snapshot(usernames={"https://other.example.org": KubernetesUsername("department", "")}))

    assert "claims" not in names
