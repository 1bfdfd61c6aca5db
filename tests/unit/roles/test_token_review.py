"""What is made of the cluster's word about a token: exactly what it says, nothing where it says nothing, and never the token itself."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rolevend.errors import ClusterUnavailable
from rolevend.identity.service_account import Authenticated, NotTaken, Review
from rolevend.kube.client import KubeClient
from rolevend.roles.user_authenticator import TokenReviewer
from tests.support.tokens import AUDIENCE, UID, service_account_token

TOKEN = service_account_token()
NAME = "system:serviceaccount:agents:finbot"
USER = {"username": NAME, "uid": UID, "groups": ["system:serviceaccounts"]}


class Server:
    """Answers one way, and repeats in every answer what it was sent, as the real one does."""

    def __init__(self) -> None:
        self.status: Any = {}
        self.code = 201
        self.asked: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        assert (request.method, request.path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
        body = await request.json()
        self.asked.append(body)
        if self.code != 201:
            return web.json_response({"message": f"cannot handle {json.dumps(body)}"}, status=self.code)
        return web.json_response({**body, **({} if self.status is None else {"status": self.status})}, status=201)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def reviewer(server: Server, tmp_path: Path) -> AsyncIterator[TokenReviewer]:
    application = web.Application()
    application.router.add_post("/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    file = tmp_path / "kubeconfig"
    users = [{"name": "u", "user": {"token": "t"}}]
    clusters = [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}]
    contexts = [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
    file.write_text(json.dumps({"clusters": clusters, "contexts": contexts, "current-context": "c", "users": users}))
    cluster = await KubeClient.connect(str(file), request_seconds=2)
    yield TokenReviewer(cluster)
    await cluster.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "review"),
    [
        ({"authenticated": True, "user": USER, "audiences": [AUDIENCE]}, Authenticated(NAME, UID, frozenset({AUDIENCE}))),
        ({"authenticated": True, "user": USER}, Authenticated(NAME, UID, frozenset())),
        ({"authenticated": True, "user": {}, "audiences": [AUDIENCE]}, Authenticated("", "", frozenset({AUDIENCE}))),
        ({"authenticated": False, "user": USER, "audiences": [AUDIENCE]}, NotTaken()),
        ({"authenticated": "true", "user": USER, "audiences": [AUDIENCE]}, NotTaken()),
        ({"error": "token has expired"}, NotTaken()),
        ({}, NotTaken()),
    ],
)
async def test_the_cluster_is_taken_at_its_word(server: Server, reviewer: TokenReviewer, status: dict[str, Any], review: Review):
    server.status = status

    assert await reviewer.review(TOKEN, frozenset({"b", AUDIENCE, "a"})) == review
    (asked,) = server.asked
    assert asked["spec"] == {"token": TOKEN, "audiences": ["a", "b", AUDIENCE]}


@pytest.mark.parametrize("status", [None, [], "ok", {"authenticated": True}, {"authenticated": True, "user": USER, "audiences": AUDIENCE}])
async def test_an_answer_of_another_shape_is_none(server: Server, reviewer: TokenReviewer, status: Any):
    server.status = status

    with pytest.raises(ClusterUnavailable, match="but something else"):
        await reviewer.review(TOKEN, frozenset({AUDIENCE}))


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422, 429, 500, 503])
async def test_a_server_that_repeats_the_token_makes_us_repeat_it_nowhere(
    server: Server, reviewer: TokenReviewer, caplog: pytest.LogCaptureFixture, code: int
):
    caplog.set_level(logging.DEBUG)
    server.code = code

    with pytest.raises(ClusterUnavailable) as unanswered:
        await reviewer.review(TOKEN, frozenset({AUDIENCE}))
    logging.getLogger("test").error("asked", exc_info=unanswered.value)

    assert "may we create tokenreviews.authentication.k8s.io?" in str(unanswered.value)
    assert not any(segment in caplog.text for segment in TOKEN.split("."))
