"""rolevend's check of tokens against Ory Hydra: its discovery, its tokens, and a change of its keys while it serves."""

import asyncio
import base64
import json
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
import yaml

from rolevend.identity import compact, key_set
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.key_store import KeyStore, Pace
from rolevend.identity.proven import AgentWanted, Party, ProofKind, UserWanted
from rolevend.identity.provider import Algorithm, TokenType, by_issuer
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.token_check import TokenCheck
from rolevend.kinds import IdentityProvider, parse
from rolevend.policytools.embedded.database import PostgresServer
from rolevend.policytools.embedded.progress import progress_for
from rolevend.snapshot.identity_providers import provider_of
from testbed.identity_provider import ANNA, AUDIENCE, BEN
from testbed.oidc.refusal import GrantRefused
from testbed.oidc.registry import Client
from tests.e2e.hydra.hydra import Hydra
from tests.support.pages import ROOT

pytestmark = pytest.mark.full

SHOWN: dict[str, Any] = {
    document.get("kind", "settings"): document
    for block in re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs/how-to/identity/ory-hydra.md").read_text(), re.MULTILINE | re.DOTALL)
    for document in yaml.safe_load_all(block)
}
"""What its page says that people write."""


@pytest.fixture(scope="module")
def hydra(request: pytest.FixtureRequest) -> Iterator[Hydra]:
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with PostgresServer(18, fsync=False) as server:
        with psycopg.connect(server.superuser.dsn, autocommit=True) as connection:
            connection.execute("CREATE DATABASE hydra")
        with capture.global_and_fixture_disabled():  # a person who waits for a build should see it
            database, clients = server.superuser.to_database("hydra"), (Client("finbot"), Client("otherbot"))
            built = Hydra(database, SHOWN["settings"], (ANNA, BEN), clients, AUDIENCE, progress_for())
        with built as running:
            yield running


def checking(hydra: Hydra, **spec: Any) -> TokenCheck:
    """As the operator has it, for the IdentityProvider of the page; it looks for new keys without a pause."""

    def clock() -> datetime:
        return datetime.now(UTC)

    body = {**SHOWN["IdentityProvider"]}
    body["spec"] = {**body["spec"], "issuer": hydra.issuer, **spec}
    provider = provider_of(parse(IdentityProvider, body), hydra.authorities)
    check = TokenCheck(KeyStore(KeyFetcher().read, clock, time.monotonic, Pace(cool_down=0.0)), clock)
    check.follow(by_issuer([provider]))
    return check


def wanted(hydra: Hydra, name: str = "finbot") -> UserWanted:
    agent = Party(hydra.issuer, name)
    return UserWanted(agent, frozenset({agent}))


def part(token: str, place: int) -> dict[str, Any]:
    segment = token.split(".")[place]
    members: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return members


def tampered(token: str, **changed: Any) -> str:
    head, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps({**part(token, 1), **changed}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def agents(hydra: Hydra, name: str = "finbot") -> str:
    return hydra.tokens.agent_token(name, audience=AUDIENCE)


def persons(hydra: Hydra, name: str = "anna") -> str:
    return hydra.tokens.tokens_of(name, client="finbot", audience=AUDIENCE).access_token


async def test_its_tokens_prove_agents_and_people(hydra):
    check = checking(hydra)
    agent = await check.agent(agents(hydra), AgentWanted())
    assert agent.party == agent.client == Party(hydra.issuer, "finbot")
    anna, ben = [await check.user(persons(hydra, name), wanted(hydra)) for name in ("anna", "ben")]
    assert (anna.user.subject, anna.handle, anna.proof) == ("anna", "E10442", ProofKind.TOKEN)
    assert (ben.user.subject, ben.handle) == ("ben", "E10517")
    assert {each.key: each.values for each in anna.mapped.attributes} == {"department": ("claims",), "countries": ("country-DE",)}
    assert anna.token.token_id != ben.token.token_id
    assert anna.token.type is TokenType.UNTYPED_ACCESS_TOKEN


async def test_its_access_tokens_say_no_more_than_jwt_and_prove_nothing_where_that_is_not_said(hydra):
    token = agents(hydra)
    assert part(token, 0)["typ"] == "JWT"
    with pytest.raises(TokenRefused) as caught:
        await checking(hydra, accepts=["AccessToken"]).agent(token, AgentWanted())
    assert caught.value.code is Code.TYPE_NOT_ACCEPTED


async def test_its_id_tokens_are_no_access_tokens_and_prove_people_where_they_are_accepted_instead(hydra):
    token = hydra.tokens.tokens_of("anna", client="finbot", audience=AUDIENCE).id_token
    with pytest.raises(TokenRefused) as caught:
        await checking(hydra).user(token, wanted(hydra))
    assert caught.value.code is Code.MISSING_CLAIM  # it names no client
    proven = await checking(hydra, accepts=["IdToken"]).user(token, wanted(hydra))
    assert (proven.user.subject, proven.token.type) == ("anna", TokenType.ID_TOKEN)


async def test_what_was_changed_or_is_anothers_is_refused(hydra):
    check = checking(hydra)
    annas = persons(hydra)
    for text, wanting, code in (
        (tampered(annas, sub="ben"), wanted(hydra), Code.BAD_SIGNATURE),
        (tampered(annas, client_id="otherbot"), wanted(hydra, "otherbot"), Code.BAD_SIGNATURE),
        (annas, wanted(hydra, "otherbot"), Code.ISSUED_TO_ANOTHER),
        (agents(hydra), wanted(hydra), Code.NOT_A_PERSONS),
        (hydra.tokens.agent_token("finbot"), wanted(hydra), Code.MALFORMED_CLAIM),  # for nobody: `aud` is an empty list
    ):
        with pytest.raises(TokenRefused) as caught:
            await check.user(text, wanting)
        assert caught.value.code is code
    for text in (annas, tampered(agents(hydra), sub="otherbot", client_id="otherbot")):
        with pytest.raises(TokenRefused):
            await check.agent(text, AgentWanted())


def test_it_gives_nothing_to_who_does_not_prove_themselves(hydra):
    with pytest.raises(GrantRefused, match="invalid_client"):
        hydra.tokens.token({"grant_type": "client_credentials", "audience": AUDIENCE}, Client("finbot", secret="guessed"))


def signed_by(hydra: Hydra, token: str) -> set[str | None]:
    """The published keys that the signature is of: none but one."""
    published = key_set.parse(hydra.tokens.call("GET", hydra.tokens.configuration["jwks_uri"]).body)
    read = compact.read(token)
    names = {key.key_id for key in published.keys if key.verifies(Algorithm.RS256, read.signed, read.signature)}
    assert len(names) == 1
    return names


async def test_keys_change_while_it_serves_and_every_token_that_names_its_key_is_taken(hydra):
    check = checking(hydra)
    first = agents(hydra)
    await check.agent(first, AgentWanted())
    seen: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
    """By the key that signed a token which was taken."""
    over = asyncio.Event()

    async def calling(get: Callable[[Hydra], str], prove: Callable[[str], Awaitable[object]]) -> None:
        while not over.is_set():
            token = await asyncio.to_thread(get, hydra)
            name = part(token, 0)["kid"]
            try:
                await prove(token)
                seen[name].set()
            except TokenRefused as refused:
                # Hydra looks for its newest key twice: for the header, and to sign. Between the two there may be another.
                if refused.code is not Code.BAD_SIGNATURE or name in signed_by(hydra, token):
                    raise

    async with asyncio.TaskGroup() as group, asyncio.timeout(120):
        group.create_task(calling(agents, lambda token: check.agent(token, AgentWanted())))
        group.create_task(calling(persons, lambda token: check.user(token, wanted(hydra))))
        await seen[part(first, 0)["kid"]].wait()
        for _ in range(3):
            added = await asyncio.to_thread(hydra.add_key)
            await seen[added].wait()
        over.set()
    await check.agent(first, AgentWanted())


async def test_what_a_withdrawn_key_signed_is_refused_once_that_is_known(hydra):
    check = checking(hydra)
    before = persons(hydra)
    await check.user(before, wanted(hydra))
    hydra.add_key()
    hydra.withdraw_key(part(before, 0)["kid"])
    await check.user(persons(hydra), wanted(hydra))
    with pytest.raises(TokenRefused) as caught:
        await check.user(before, wanted(hydra))
    assert caught.value.code is Code.UNKNOWN_KEY
