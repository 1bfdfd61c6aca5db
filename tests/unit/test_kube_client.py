"""What a call to the Kubernetes API waits for, and for how long."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rolevend.errors import ClusterUnavailable
from rolevend.kube.client import NAMESPACES, Cluster


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
async def cluster(kubeconfig: Path) -> AsyncIterator[Cluster]:
    connected = await Cluster.connect(str(kubeconfig), calls=1, request_seconds=1)
    yield connected
    await connected.close()


async def test_a_call_without_an_answer_says_what_was_asked_and_what_happened(cluster: Cluster):
    with pytest.raises(ClusterUnavailable, match=r"GET /api/v1/namespaces/here: \w*Timeout"):
        await cluster.get(NAMESPACES, "here")


async def test_waiting_for_a_turn_is_not_waiting_for_an_answer(silent: Silent, cluster: Cluster):
    first, second = (asyncio.create_task(cluster.get(NAMESPACES, "here")) for _ in range(2))

    with pytest.raises(ClusterUnavailable):
        await first
    assert silent.asked == 1, "the second one waited for as long as a call may take"
    silent.answers.set()
    assert (await second)["metadata"]["name"] == "here"
