"""Agents by ServiceAccount: their tokens are checked in process first, and then by the cluster, which alone sees that a pod is gone."""

import asyncio
from dataclasses import replace

import pytest

from rolevend.errors import ClusterUnavailable, InvalidInput, RolevendError
from rolevend.identity.key_store import KeyStore
from rolevend.identity.proven import AgentWanted
from rolevend.identity.provider import Provider
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.service_account import Authenticated, NotTaken, Review
from rolevend.identity.token_check import LONGEST_SECONDS, Reviews, TokenCheck
from rolevend.model import ObjectName
from tests.support.tokens import (
    AGENT,
    AS_AGENT,
    AUDIENCE,
    CLUSTER,
    CLUSTER_PROVIDER,
    FOR_AGENT,
    NOW,
    PROVIDERS,
    UID,
    access_token,
    agent_token,
    header,
    service_account_claims,
    service_account_token,
    token,
)

NAME = "system:serviceaccount:agents:finbot"
ALIVE = Authenticated(NAME, UID, frozenset({AUDIENCE}))
TOKEN = service_account_token()


class Cluster:
    """Answers as a test wants, and counts how often it is asked. With `pause` it answers nothing until that is set."""

    def __init__(self, answer: Review | RolevendError = ALIVE) -> None:
        self.answer = answer
        self.asked: list[tuple[str, frozenset[str]]] = []
        self.pause: asyncio.Event | None = None
        self.seconds = 0.0

    async def review(self, token: str, audiences: frozenset[str]) -> Review:
        self.asked.append((token, audiences))
        if self.pause is not None:
            await self.pause.wait()
        if isinstance(self.answer, RolevendError):
            raise self.answer
        return self.answer

    def moment(self) -> float:
        return self.seconds


def check(cluster: Cluster, *, seconds: float = 2, most: int = 8) -> TokenCheck:
    async def unread(_: Provider) -> bytes:
        raise InvalidInput("", "every key stands in the configuration")

    keys = KeyStore(unread, lambda: NOW, cluster.moment)
    made = TokenCheck(keys, lambda: NOW, Reviews(cluster, cluster.moment, seconds=seconds, most=most))
    made.follow(PROVIDERS)
    return made


async def code(made: TokenCheck, text: str = TOKEN, wanting: AgentWanted = AS_AGENT) -> Code | None:
    try:
        await made.agent(text, wanting)
    except TokenRefused as error:
        refused = error
    else:
        return None
    assert not any(secret in str(refused) for secret in (text, UID, "finbot"))
    return refused.code


async def test_an_account_that_the_cluster_takes_is_proven():
    cluster = Cluster()
    proven = await check(cluster).agent(TOKEN, AS_AGENT)

    assert proven.service_account is not None
    assert proven.service_account.name == ObjectName("agents", "finbot")
    assert cluster.asked == [(TOKEN, frozenset({AUDIENCE}))]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (NotTaken(), Code.NOT_AUTHENTICATED),
        (replace(ALIVE, audiences=frozenset()), Code.WRONG_AUDIENCE),
        (replace(ALIVE, audiences=frozenset({CLUSTER})), Code.WRONG_AUDIENCE),
        (replace(ALIVE, uid="3a0c6b1e-6a0e-4f0e-9a52-0c1d2e3f4a5b"), Code.ANOTHER_ACCOUNT),
        (replace(ALIVE, uid=""), Code.ANOTHER_ACCOUNT),
        (replace(ALIVE, username="system:serviceaccount:agents:portal"), Code.ANOTHER_ACCOUNT),
        (replace(ALIVE, username="system:serviceaccount:other:finbot"), Code.ANOTHER_ACCOUNT),
        (replace(ALIVE, username="finbot"), Code.ANOTHER_ACCOUNT),
        (ALIVE, None),
    ],
)
async def test_what_the_cluster_says_must_be_what_the_token_says(answer: Review, expected: Code | None):
    assert await code(check(Cluster(answer))) is expected


@pytest.mark.parametrize(
    "forged",
    [
        token(service_account_claims(), header(("typ",), kid="rsa-cluster")),
        service_account_token(exp=1),
        service_account_token(aud=[CLUSTER]),
        service_account_token(sub="system:serviceaccount:agents:portal"),
        "x.y.z",
    ],
)
async def test_the_cluster_is_asked_of_nothing_that_is_refused_already(forged: str):
    cluster = Cluster()

    assert await code(check(cluster), forged) is not None
    assert cluster.asked == []


async def test_the_cluster_is_not_asked_of_other_tokens():
    cluster = Cluster(NotTaken())

    assert (await check(cluster).agent(agent_token(), AS_AGENT)).party == AGENT
    assert (await check(cluster).user(access_token(), FOR_AGENT)).user.subject == "anna"
    assert cluster.asked == []


async def test_an_answer_counts_for_moments():
    cluster = Cluster()
    made = check(cluster)
    codes = []
    for cluster.seconds in (0, 1, 1.9, 2):
        codes.append(await code(made))
        cluster.answer = NotTaken()

    assert codes == [None, None, None, Code.NOT_AUTHENTICATED]
    assert len(cluster.asked) == 2


async def test_no_setting_lets_a_deleted_pod_pass_for_longer():
    cluster = Cluster()
    made = check(cluster, seconds=3600)
    await code(made)
    cluster.answer, cluster.seconds = NotTaken(), LONGEST_SECONDS

    assert await code(made) is Code.NOT_AUTHENTICATED


async def test_the_answer_of_one_token_says_nothing_of_another():
    cluster = Cluster()
    made = check(cluster)
    await code(made)
    cluster.answer = NotTaken()

    assert await code(made, service_account_token(jti="token-2")) is Code.NOT_AUTHENTICATED


async def test_many_who_ask_at_once_ask_the_cluster_once():
    cluster = Cluster()
    cluster.pause = asyncio.Event()
    made = check(cluster)
    asking = [asyncio.create_task(code(made)) for _ in range(50)]
    await until_asked(cluster)
    asking[0].cancel()
    cluster.pause.set()

    assert await asyncio.gather(*asking[1:]) == [None] * 49
    assert len(cluster.asked) == 1


async def test_a_cluster_that_does_not_answer_is_told_as_such_and_asked_again():
    cluster = Cluster(ClusterUnavailable("gone"))
    made = check(cluster)
    for _ in range(2):
        with pytest.raises(ClusterUnavailable):
            await made.agent(TOKEN, AS_AGENT)
    cluster.answer = ALIVE

    assert await code(made) is None
    assert len(cluster.asked) == 3


async def test_no_more_answers_are_kept_than_allowed():
    cluster = Cluster()
    made = check(cluster, most=2)
    tokens = [service_account_token(jti=f"token-{number}") for number in range(3)]
    for text in tokens:
        await code(made, text)
    await code(made, tokens[2])
    assert len(cluster.asked) == 3

    await code(made, tokens[0])
    assert len(cluster.asked) == 4


async def test_a_cluster_that_is_not_followed_any_more_proves_nobody():
    made = check(Cluster())
    made.follow({issuer: provider for issuer, provider in PROVIDERS.items() if issuer != CLUSTER_PROVIDER.issuer})

    assert await code(made) is Code.UNKNOWN_ISSUER


async def until_asked(cluster: Cluster) -> None:
    async with asyncio.timeout(10):
        while not cluster.asked:
            await asyncio.sleep(0)
