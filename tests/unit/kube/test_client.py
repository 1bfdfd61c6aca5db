"""What a call to the Kubernetes API waits for, and for how long."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rolevend.errors import ClusterUnavailable, Rejected
from rolevend.kube.client import NAMESPACES, KubeClient


class Silent:
    """An API server that answers nothing until it is told to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.asked = 0

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        await self.answers.wait()
        return web.json_response({"metadata": {"name": "here"}})


@pytest.fixture
def silent() -> Silent:
    return Silent()


@pytest.fixture
async def kubeconfig(silent: Silent, tmp_path: Path) -> AsyncIterator[Path]:
    application = web.Application()
    application.router.add_get("/{path:.*}", silent.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = tmp_path / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    file.write_text(
        json.dumps({"clusters": [cluster], "contexts": [context], "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}]})
    )
    yield file
    await runner.cleanup()


@pytest.fixture
async def cluster(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    connected = await KubeClient.connect(str(kubeconfig), calls=1, request_seconds=1)
    yield connected
    await connected.close()


async def test_of_a_list_of_kubeconfigs_the_first_word_counts_and_what_is_not_there_is_passed_over(
    silent: Silent, kubeconfig: Path, tmp_path: Path
):
    """As kubectl does: who asks somebody else's cluster by the same list would be surprised."""
    silent.answers.set()
    other = {"name": "other", "cluster": {"server": "http://127.0.0.1:1"}}
    context = {"name": "other", "context": {"cluster": "other", "user": "u"}}
    others, users = tmp_path / "others", tmp_path / "users"
    others.write_text(json.dumps({"clusters": [other, {**other, "name": "c"}], "contexts": [context], "current-context": "other"}))
    users.write_text(json.dumps({"users": [{"name": "u", "user": {"token": "t"}}]}))

    for files in ((users, tmp_path / "nowhere", kubeconfig, others), (kubeconfig, others)):
        connected = await KubeClient.connect(os.pathsep.join(map(str, files)))
        assert (await connected.get(NAMESPACES, "here"))["metadata"]["name"] == "here"
        await connected.close()


@pytest.mark.parametrize("text", ["", "- a list", "a: [", "\ud800"])
async def test_a_file_that_is_no_kubeconfig_is_told_in_one_line(text: str, tmp_path: Path):
    file = tmp_path / "kubeconfig"
    file.write_bytes(text.encode(errors="surrogatepass"))

    with pytest.raises(Rejected, match=r"^no credentials for the Kubernetes API in .*; name a file with --kubeconfig$"):
        await KubeClient.connect(str(file))


async def test_a_call_without_an_answer_says_what_was_asked_and_what_happened(cluster: KubeClient):
    with pytest.raises(ClusterUnavailable, match=r"GET /api/v1/namespaces/here: \w*Timeout"):
        await cluster.get(NAMESPACES, "here")


async def test_waiting_for_a_turn_is_not_waiting_for_an_answer(silent: Silent, cluster: KubeClient):
    first, second = (asyncio.create_task(cluster.get(NAMESPACES, "here")) for _ in range(2))

    with pytest.raises(ClusterUnavailable):
        await first
    assert silent.asked == 1, "the second one waited for as long as a call may take"
    silent.answers.set()
    assert (await second)["metadata"]["name"] == "here"
