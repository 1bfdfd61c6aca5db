"""Which votes get a status after a judgement."""

from typing import cast

from rolevend.access_objects.votes import Votes, readable_vote
from rolevend.access_requests.counted import CountedVote
from rolevend.kinds import AccessDecision, parse
from rolevend.kube.client import Body, KubeClient
from rolevend.model import Uid
from tests.support.asking import NOW
from tests.support.manifests import changed, valid

REQUEST = Uid("6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c")


class Cluster:
    """What was written, by the name of the vote."""

    def __init__(self) -> None:
        self.statuses: dict[str, Body] = {}

    async def merge(self, path: object, name: str, patch: Body, namespace: str, subresource: str) -> None:
        self.statuses[name] = patch["status"]


def vote(name: str, *changes: tuple[str, object]) -> Body:
    body = changed(valid("AccessDecision", name, "domain-claims"), "spec.requestRef.uid", REQUEST)
    body["metadata"] |= {"uid": f"uid-{name}", "generation": 1, "resourceVersion": "1", "creationTimestamp": NOW.isoformat()}
    for path, value in changes:
        body = changed(body, path, value)
    return body


async def test_a_vote_that_came_after_the_judgement_has_no_status_yet_and_one_that_cannot_be_read_does_not_count():
    cluster = Cluster()
    votes = Votes(cast(KubeClient, cluster), lambda: NOW, lambda name: None)
    bad = [{"name": "bad", "columns": {"matchNames": ["ssn"]}, "type": "Regex", "regex": {"pattern": "(a", "replacement": ""}}]
    for body in (vote("read"), vote("late"), vote("bad", ("spec.masks", bad))):
        votes.informer.on_upsert(body)
    read = readable_vote(parse(AccessDecision, vote("read")))
    assert read is not None

    await votes.report(REQUEST, [CountedVote(read, counted=True, message="it counts")], NOW, only_new=False)

    assert {name: status["counted"] for name, status in cluster.statuses.items()} == {"read": True, "bad": False}
    assert "it cannot be read" in cluster.statuses["bad"]["message"]
