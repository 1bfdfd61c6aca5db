"""Tokens of ServiceAccounts against a real API server: it alone says its keys, and knows whose token still holds."""

import asyncio
import itertools
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rolevend.errors import ClusterUnavailable, NotPermitted
from rolevend.identity.key_fetching import KeyFetcher
from rolevend.identity.key_store import KeyStore
from rolevend.identity.proven import AgentWanted, ProvenAgent
from rolevend.identity.provider import Algorithm, ClusterKeys, Provider, TokenType
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.service_account import Authenticated, NotTaken
from rolevend.identity.token_check import Reviews, TokenCheck
from rolevend.kube.client import KubeClient
from rolevend.model import ObjectName
from rolevend.roles.user_authenticator import TokenReviewer
from testbed.binaries import Binaries
from testbed.controlplane import ISSUER, ControlPlane
from tests.support import tokens
from tests.support.tokens import AUDIENCE
from tests.support.waiting import DEADLINE, eventually

PROVIDER = Provider(
    "cluster", ISSUER, frozenset({AUDIENCE}), frozenset({Algorithm.ES256}), frozenset({TokenType.SERVICE_ACCOUNT}), ClusterKeys()
)
AS_AGENT = AgentWanted()
NAMESPACE = "reviewed"
REVIEWER = "reviewer"
_numbers = itertools.count(1)


def prepare(control_plane: ControlPlane) -> Path:
    """A namespace of agents, and who may ask about their tokens, and no more; their kubeconfig."""
    for words in (
        f"create namespace {NAMESPACE}",
        f"create serviceaccount {REVIEWER} --namespace {NAMESPACE}",
        f"create serviceaccount stranger --namespace {NAMESPACE}",
        "create clusterrole token-reviewer --verb=create --resource=tokenreviews.authentication.k8s.io",
        f"create clusterrolebinding token-reviewer --clusterrole=token-reviewer --serviceaccount={NAMESPACE}:{REVIEWER}",
    ):
        control_plane.kubectl(*words.split())
    kubeconfig = control_plane.service_account_kubeconfig(NAMESPACE, REVIEWER)
    eventually(lambda: _may_ask(control_plane, kubeconfig))
    return kubeconfig


def _may_ask(control_plane: ControlPlane, kubeconfig: Path) -> bool:
    try:
        control_plane.kubectl("auth", "can-i", "create", "tokenreviews.authentication.k8s.io", kubeconfig=kubeconfig)
    except subprocess.CalledProcessError:
        return False
    return True


@pytest.fixture(scope="module")
def kubeconfig(control_plane: ControlPlane) -> Iterator[Path]:
    yield prepare(control_plane)
    for words in (f"namespace {NAMESPACE}", "clusterrole token-reviewer", "clusterrolebinding token-reviewer"):
        control_plane.kubectl("delete", *words.split())


@pytest.fixture(scope="module")
def another(binaries: Binaries) -> Iterator[ControlPlane]:
    """Another cluster, whose issuer has the same name, as that of most clusters has."""
    with ControlPlane(binaries=binaries) as running:
        prepare(running)
        yield running


class Checked:
    """The check of an agent's token as the API does it; each answer of the cluster counts for one token and no time."""

    def __init__(self, cluster: KubeClient) -> None:
        self.reviewer = TokenReviewer(cluster)
        self.keys = KeyStore(KeyFetcher(cluster=cluster.document).read, lambda: datetime.now(UTC), time.monotonic)
        self._check = TokenCheck(self.keys, lambda: datetime.now(UTC), Reviews(self.reviewer, time.monotonic, seconds=0))

    async def follow(self, provider: Provider = PROVIDER) -> "Checked":
        self._check.follow({provider.issuer: provider})
        await self.keys.refresh(provider.issuer)
        return self

    async def agent(self, text: str) -> ProvenAgent:
        return await self._check.agent(text, AS_AGENT)

    async def code(self, text: str) -> Code | None:
        try:
            await self.agent(text)
        except TokenRefused as error:
            refused = error
        else:
            return None
        assert not any(segment in str(refused) for segment in text.split("."))
        return refused.code

    async def refused_at_last(self, text: str) -> Code:
        """The API server itself remembers for ten seconds that it took a token."""
        deadline = time.monotonic() + DEADLINE
        while (code := await self.code(text)) is None:
            assert time.monotonic() < deadline, "the token is taken still"
            await asyncio.sleep(0.05)
        return code


@pytest.fixture
async def checked(kubeconfig: Path) -> AsyncIterator[Checked]:
    cluster = await KubeClient.connect(str(kubeconfig))
    yield await Checked(cluster).follow()
    await cluster.close()


class Account:
    def __init__(self, control_plane: ControlPlane) -> None:
        self.name = f"finbot-{next(_numbers)}"
        self.control_plane = control_plane
        self.make()

    def make(self) -> None:
        self.control_plane.kubectl("create", "serviceaccount", self.name, "--namespace", NAMESPACE)

    def delete(self) -> None:
        self.control_plane.kubectl("delete", "serviceaccount", self.name, "--namespace", NAMESPACE)

    @property
    def uid(self) -> str:
        return self.control_plane.kubectl("get", "serviceaccount", self.name, "--namespace", NAMESPACE, "-o", "jsonpath={.metadata.uid}")

    def token(self, *audiences: str) -> str:
        """As the kubelet asks for one, but for the pod."""
        return self.control_plane.service_account_token(NAMESPACE, self.name, audiences=audiences or (AUDIENCE,))

    def token_of_pod(self) -> str:
        """As the kubelet asks for one: it is bound to the pod."""
        container = {"name": "agent", "image": "registry.example.org/finbot:1.0"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name, "namespace": NAMESPACE}}
        spec = {"serviceAccountName": self.name, "automountServiceAccountToken": False, "containers": [container]}
        self.control_plane.kubectl("create", "-f", "-", standard_input=json.dumps({**pod, "spec": spec}))
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={self.name}")
        words = ("create", "token", self.name, "--namespace", NAMESPACE, f"--audience={AUDIENCE}", *bound)
        return self.control_plane.kubectl(*words).strip()

    def delete_pod(self) -> None:
        self.control_plane.kubectl("delete", "pod", self.name, "--namespace", NAMESPACE, "--grace-period=0", "--force")


@pytest.fixture
def account(control_plane: ControlPlane, kubeconfig: Path) -> Account:
    return Account(control_plane)


async def test_a_token_of_a_serviceaccount_proves_it_by_the_keys_that_the_api_server_says(checked: Checked, account: Account):
    proven = await checked.agent(account.token())

    assert proven.service_account is not None
    assert (proven.service_account.name, proven.service_account.uid) == (ObjectName(NAMESPACE, account.name), account.uid)
    assert proven.service_account.pod is None
    assert checked.keys.problems == {}


async def test_the_keys_are_said_to_nobody_whom_the_api_server_does_not_know(kubeconfig: Path, tmp_path: Path):
    """So no URL of them would do."""
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "nobody's"}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    stranger = await KubeClient.connect(str(tmp_path / "kubeconfig"))
    try:
        with pytest.raises(NotPermitted):
            await stranger.document("/openid/v1/jwks")
    finally:
        await stranger.close()


async def test_where_the_cluster_has_another_issuer_nobody_is_proven_and_it_is_said_which(kubeconfig: Path, account: Account):
    cluster = await KubeClient.connect(str(kubeconfig))
    try:
        checked = await Checked(cluster).follow(Provider(**{**_fields(PROVIDER), "issuer": "https://another.example.org"}))

        assert checked.keys.problems == {
            "https://another.example.org": f"spec.issuer: this cluster's API server says that its issuer is {ISSUER}"
        }
        assert await checked.code(account.token()) is Code.UNKNOWN_ISSUER
    finally:
        await cluster.close()


def _fields(provider: Provider) -> dict[str, Any]:
    return {name: getattr(provider, name) for name in ("name", "issuer", "audiences", "algorithms", "accepts", "keys")}


@pytest.mark.long
async def test_a_token_of_a_pod_ends_with_the_pod(checked: Checked, account: Account):
    text = account.token_of_pod()
    proven = await checked.agent(text)
    assert proven.service_account is not None
    assert proven.service_account.pod is not None
    assert proven.service_account.pod.name == account.name

    account.delete_pod()

    assert await checked.refused_at_last(text) is Code.NOT_AUTHENTICATED


@pytest.mark.long
async def test_a_token_of_a_deleted_serviceaccount_proves_nobody(checked: Checked, account: Account):
    text = account.token()
    assert await checked.code(text) is None

    account.delete()

    assert await checked.refused_at_last(text) is Code.NOT_AUTHENTICATED


async def test_a_token_of_the_old_serviceaccount_is_not_the_new_ones_of_the_same_name(checked: Checked, account: Account):
    old = account.token()
    account.delete()
    account.make()
    new = account.token()

    assert await checked.refused_at_last(old) is Code.NOT_AUTHENTICATED
    proven = await checked.agent(new)
    assert proven.service_account is not None
    assert proven.service_account.uid == account.uid


@pytest.mark.parametrize("audiences", [(ISSUER,), ("https://elsewhere.example.org",), (f"{AUDIENCE}/",)])
async def test_a_token_for_somebody_else_is_refused_here_and_by_the_cluster(checked: Checked, account: Account, audiences: tuple[str, ...]):
    text = account.token(*audiences)

    assert await checked.code(text) is Code.WRONG_AUDIENCE
    assert await checked.reviewer.review(text, frozenset({AUDIENCE})) == NotTaken()


async def test_the_cluster_says_for_which_of_us_a_token_is(checked: Checked, account: Account):
    review = await checked.reviewer.review(account.token(AUDIENCE, "https://elsewhere.example.org"), frozenset({AUDIENCE, "another"}))

    assert review == Authenticated(f"system:serviceaccount:{NAMESPACE}:{account.name}", account.uid, frozenset({AUDIENCE}))


async def test_a_token_of_another_cluster_is_none_of_ours_though_its_issuer_is_called_the_same(
    checked: Checked, account: Account, another: ControlPlane
):
    another.kubectl("create", "serviceaccount", account.name, "--namespace", NAMESPACE)
    text = another.service_account_token(NAMESPACE, account.name, audiences=(AUDIENCE,))

    assert await checked.code(text) is Code.UNKNOWN_KEY
    assert await checked.reviewer.review(text, frozenset({AUDIENCE})) == NotTaken()


async def test_a_forgery_with_the_right_names_is_refused_here_and_by_the_cluster(checked: Checked, account: Account):
    real = account.token()
    key_id = tokens.header_of(real)["kid"]
    payload = tokens.payload_of(real)
    by_stranger = tokens.token(payload, {"alg": "ES256", "kid": key_id}, by="p256-stranger", algorithm="ES256")
    stretched = (
        f"{tokens.written(tokens.header_of(real))}.{tokens.written({**payload, 'exp': payload['exp'] + 60})}.{real.rpartition('.')[2]}"
    )

    for text in (by_stranger, stretched):
        assert await checked.code(text) is Code.BAD_SIGNATURE
        assert await checked.reviewer.review(text, frozenset({AUDIENCE})) == NotTaken()


async def test_who_may_not_ask_proves_nobody_and_is_told_the_right_that_is_missing(control_plane: ControlPlane, account: Account):
    cluster = await KubeClient.connect(str(control_plane.service_account_kubeconfig(NAMESPACE, "stranger")))
    text = account.token()
    try:
        checked = await Checked(cluster).follow()
        assert checked.keys.problems == {}, "every ServiceAccount may read the keys"

        with pytest.raises(ClusterUnavailable, match=r"may we create tokenreviews\.authentication\.k8s\.io\?") as unanswered:
            await checked.agent(text)
        assert not any(segment in str(unanswered.value) for segment in text.split("."))
    finally:
        await cluster.close()


@pytest.mark.long
async def test_while_the_api_server_is_down_nothing_is_known_of_a_token(another: ControlPlane):
    kubeconfig = another.service_account_kubeconfig(NAMESPACE, REVIEWER)
    text = another.service_account_token(NAMESPACE, "stranger", audiences=(AUDIENCE,))
    cluster = await KubeClient.connect(str(kubeconfig))
    try:
        checked = await Checked(cluster).follow()
        assert await checked.code(text) is None

        another.stop_api_server()
        try:
            with pytest.raises(ClusterUnavailable):
                await checked.agent(text)
        finally:
            another.start_api_server()
            eventually(lambda: _may_ask(another, kubeconfig))  # it answers before it has read who may what
        assert await checked.code(text) is None
    finally:
        await cluster.close()
