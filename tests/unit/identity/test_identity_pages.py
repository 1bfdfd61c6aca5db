"""The set-up pages of identity providers: their manifests take the tokens that the pages show, and nobody else may use these."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from rolevend.decision.proof import ClientIdentity
from rolevend.identity.proven import AgentWanted, OwnSubject, Party, ProofKind, ProvenAgent, ProvenUser, UserWanted, Wanting
from rolevend.identity.provider import InlineKeys, Provider, TokenType, by_issuer
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.kinds import Agent, IdentityProvider, parse
from rolevend.kinds.vended_role import agent_identity
from rolevend.roles.user_authenticator import wanted
from rolevend.snapshot.identity_providers import provider_of
from tests.support.pages import ROOT
from tests.support.registered import AGENT
from tests.support.tokens import KEYS, NOW, checked, header, known, token

FOLDER = ROOT / "docs" / "how-to" / "identity"
ANOTHER = "another-client"


class Page:
    """What it shows: two objects, a person's token, and one of the agent's own."""

    def __init__(self, name: str) -> None:
        self.text = (FOLDER / f"{name}.md").read_text()
        (objects,) = self._blocks("yaml")
        bodies = {body["kind"]: body for body in yaml.safe_load_all(objects)}
        self.resource = parse(IdentityProvider, bodies["IdentityProvider"])
        self.agent = replace(AGENT, identity=agent_identity(parse(Agent, bodies["Agent"])))
        self.person, self.own = (json.loads(block) for block in self._blocks("json"))

    def _blocks(self, language: str) -> Iterator[str]:
        return iter(re.findall(rf"^```{language}\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL))

    @property
    def provider(self) -> Provider:
        """With keys of the test."""
        return replace(provider_of(self.resource), keys=InlineKeys(KEYS.decode()))

    @property
    def identity(self) -> ClientIdentity:
        assert isinstance(self.agent.identity, ClientIdentity)
        return self.agent.identity

    @property
    def as_agent(self) -> AgentWanted:
        issuer = self.identity.issuer
        return AgentWanted(frozenset(OwnSubject(Party(issuer, each), self.identity.subject) for each in self.identity.client_ids))

    def signed(self, payload: dict[str, Any], **changed: Any) -> str:
        """As the issuer does, by what the page accepts of it."""
        typed = TokenType.ACCESS_TOKEN in self.provider.accepts
        return token({**payload, **changed}, header(typ="at+jwt" if typed else "JWT"))

    def proves(self, text: str, wanting: Wanting) -> ProvenAgent | ProvenUser:
        now = datetime.fromtimestamp(self.person["iat"], UTC) + timedelta(seconds=60)
        provider = self.provider
        return checked(text, wanting, by_issuer((provider,)), {provider.issuer: known()["https://idp.example.org"]}, now)

    def refuses(self, text: str, wanting: Wanting) -> Code:
        with pytest.raises(TokenRefused) as refused:
            self.proves(text, wanting)
        return refused.value.code


@pytest.fixture(params=["okta", "entra-id", "keycloak"])
def page(request: pytest.FixtureRequest) -> Page:
    return Page(request.param)


def test_a_persons_token_proves_them_to_this_agent(page: Page):
    proven = page.proves(page.signed(page.person), wanted(page.agent, ""))

    assert isinstance(proven, ProvenUser)
    assert proven.proof is ProofKind.TOKEN
    assert proven.user.subject in (page.person.get("uid"), page.person.get("oid"), page.person["sub"])
    assert proven.mapped.unreadable == ()
    # What the page maps is in the token that it shows.
    assert {each.key for each in proven.mapped.attributes} == {each.key for each in page.resource.spec.claims.attributes}


def test_it_proves_them_to_no_other_agent(page: Page):
    other = Party(page.identity.issuer, ANOTHER)

    assert page.refuses(page.signed(page.person), UserWanted(other, frozenset({other}))) is Code.ISSUED_TO_ANOTHER
    name = "cid" if "cid" in page.person else "azp"
    assert page.refuses(page.signed(page.person, **{name: ANOTHER}), wanted(page.agent, "")) is Code.ISSUED_TO_ANOTHER


def test_the_agents_own_token_proves_the_agent_and_no_person(page: Page):
    text = page.signed(page.own)
    proven = page.proves(text, page.as_agent)

    assert isinstance(proven, ProvenAgent)
    assert proven.party == Party(page.identity.issuer, page.identity.subject)
    assert proven.client is not None
    assert proven.client.name in page.identity.client_ids
    assert page.refuses(text, wanted(page.agent, "")) in (Code.NOT_A_PERSONS, Code.WRONG_TYPE, Code.MALFORMED_CLAIM)
    assert page.refuses(page.signed(page.person), page.as_agent) in (Code.NOT_AN_AGENTS_OWN, Code.MISSING_CLAIM)
    (client,) = page.identity.client_ids
    assert page.refuses(page.signed(page.person, client_id=client), page.as_agent) is Code.NOT_AN_AGENTS_OWN


def test_an_id_token_of_the_same_issuer_is_taken_for_nothing(page: Page):
    """Of the agent's client, as a login writes it."""
    (client,) = page.identity.client_ids
    said = {**page.person, "aud": client, "nonce": "n", "at_hash": "h", "typ": "ID"}
    for_us_too = {**said, "aud": [client, *page.provider.audiences]}

    for payload in (said, for_us_too):
        text = token(payload, header(typ="JWT"))
        for wanting in (wanted(page.agent, ""), page.as_agent):
            assert page.refuses(text, wanting) in (Code.WRONG_TYPE, Code.TYPE_NOT_ACCEPTED)


def test_each_says_that_it_was_not_run_and_where_it_is_from(page: Page):
    assert "**From its documentation, not run here.**" in page.text
    assert len(re.findall(r"\]\(https://", page.text.partition("## Where this is from")[2])) >= 3
    assert NOW.year == datetime.fromtimestamp(page.person["iat"], UTC).year
