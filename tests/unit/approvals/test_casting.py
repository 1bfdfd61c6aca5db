"""`rolevend approve` and `deny` tell what became of a vote."""

from typing import Any, cast

from rolevend.approvals.casting import outcome
from rolevend.approvals.reader import REQUESTS
from rolevend.approvals.wording import CommandFlags
from rolevend.kinds import AccessRequest, parse
from rolevend.kube.client import KubeClient, ResourcePath
from tests.support.manifests import MISSING
from tests.support.painted import raw

Body = dict[str, Any]


def request(state: str) -> Body:
    return raw("AccessRequest", "large-case", "agents") | {"status": {"state": state}}


def vote(*, counted: bool) -> Body:
    whole = [(f"spec.{narrowing}", MISSING) for narrowing in ("expirationSeconds", "tables", "masks")]
    decision = raw("AccessDecision", "vote", "domain-claims", ("spec.verdict", "Deny"), *whole)
    return decision | {"status": {"counted": True} if counted else {}}


class OperatorBetweenReads:
    """A cluster whose operator writes the state of the request, and then the count of the vote, after so many reads."""

    def __init__(self, after: int) -> None:
        self._left = after

    async def get(self, path: ResourcePath, name: str, namespace: str) -> Body:
        is_written = self._left <= 0
        self._left -= 1
        if path == REQUESTS:
            return request("Denied" if is_written else "Pending")
        return vote(counted=is_written)


async def test_a_state_that_changes_between_two_reads_is_told():
    before = parse(AccessRequest, request("Pending"))

    for after in range(5):
        cluster = cast(KubeClient, OperatorBetweenReads(after))
        told = await outcome(cluster, before, vote(counted=False), 60, CommandFlags())
        assert told.text.startswith("AccessRequest agents/large-case is Denied"), after
