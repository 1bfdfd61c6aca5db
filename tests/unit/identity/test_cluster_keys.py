"""The cluster as an issuer of tokens: its keys are those that its API server says to us, and only where it says that it is the issuer."""

import json
from dataclasses import replace

import pytest

from rolevend.errors import ClusterUnavailable, InvalidInput, NotPermitted, RolevendError
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.key_store import KeyStore
from rolevend.identity.provider import ClusterKeys, TokenType, admit
from tests.support.tokens import CLUSTER, CLUSTER_KEYS, CLUSTER_PROVIDER, KEYS, NOW

OURS = replace(CLUSTER_PROVIDER, keys=ClusterKeys())
DOCUMENT, KEYS_PATH = "/.well-known/openid-configuration", "/openid/v1/jwks"


class Server:
    """Says what a test wants at the two paths, and remembers what it was asked for."""

    def __init__(self, issuer: object = CLUSTER, keys: bytes | RolevendError = CLUSTER_KEYS) -> None:
        self.answers: dict[str, bytes | RolevendError] = {
            # Where the keys are to others, who may reach nobody there, and whom it must not lead us to.
            DOCUMENT: json.dumps({"issuer": issuer, "jwks_uri": "https://elsewhere.example.org/keys"}).encode(),
            KEYS_PATH: keys,
        }
        self.asked: list[str] = []

    async def read(self, path: str) -> bytes:
        self.asked.append(path)
        answer = self.answers[path]
        if isinstance(answer, RolevendError):
            raise answer
        return answer


async def test_the_keys_are_read_from_the_api_server_itself():
    server = Server()

    assert await KeyFetcher(cluster=server.read).read(OURS) == CLUSTER_KEYS
    assert server.asked == [DOCUMENT, KEYS_PATH]


@pytest.mark.parametrize(
    ("issuer", "shown"),
    [
        ("https://another.cluster.local", "https://another.cluster.local"),
        (f"{CLUSTER}/", f"{CLUSTER}/"),
        (None, "no plain text"),
        ([CLUSTER], "no plain text"),
        ("a\nb", "no plain text"),
    ],
)
async def test_another_issuer_is_said_and_its_keys_are_not_read(issuer: object, shown: str):
    server = Server(issuer)

    with pytest.raises(InvalidInput) as refused:
        await KeyFetcher(cluster=server.read).read(OURS)

    assert str(refused.value) == f"spec.issuer: this cluster's API server says that its issuer is {shown}"
    assert server.asked == [DOCUMENT]


async def test_a_document_that_cannot_be_read_is_no_issuer():
    server = Server()
    server.answers[DOCUMENT] = b"<html>"

    with pytest.raises(InvalidInput, match="discovery document of this cluster cannot be read"):
        await KeyFetcher(cluster=server.read).read(OURS)


async def test_where_there_is_no_cluster_there_are_no_keys_of_one():
    with pytest.raises(InvalidInput, match="no cluster"):
        await KeyFetcher().read(OURS)


@pytest.mark.parametrize("error", [ClusterUnavailable("gone"), NotPermitted("may not get /openid/v1/jwks")])
async def test_what_is_in_the_way_is_told_and_the_last_good_keys_stay(error: RolevendError):
    server = Server()
    store = KeyStore(KeyFetcher(cluster=server.read).read, lambda: NOW, lambda: 0.0)
    store.follow({CLUSTER: OURS})
    await store.refresh(CLUSTER)
    server.answers[KEYS_PATH] = error
    await store.refresh(CLUSTER)

    assert store.problems == {CLUSTER: str(error)}
    assert [each.key_id for each in store.known[CLUSTER].keys.keys] == ["rsa-cluster"]


async def test_an_issuer_that_was_changed_at_the_cluster_brings_no_new_keys():
    server = Server()
    store = KeyStore(KeyFetcher(cluster=server.read).read, lambda: NOW, lambda: 0.0)
    store.follow({CLUSTER: OURS})
    await store.refresh(CLUSTER)
    server.answers |= Server("https://another.cluster.local", KEYS).answers
    await store.refresh(CLUSTER)

    assert "its issuer is https://another.cluster.local" in store.problems[CLUSTER]
    assert [each.key_id for each in store.known[CLUSTER].keys.keys] == ["rsa-cluster"]


@pytest.mark.parametrize("kind", [each for each in TokenType if each is not TokenType.SERVICE_ACCOUNT])
def test_the_clusters_keys_prove_no_person(kind: TokenType):
    """Whoever may ask for a token of an account with any audience could be anybody else."""
    with pytest.raises(InvalidInput, match=r"^spec\.accepts: "):
        admit(replace(OURS, accepts=frozenset({kind})))

    assert admit(OURS) is OURS
