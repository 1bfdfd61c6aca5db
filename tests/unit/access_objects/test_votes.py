"""The rights of approvers, as the API server tells of them."""

from datetime import UTC, datetime
from typing import cast

import pytest

from rolevend.access_objects.votes import Votes
from rolevend.errors import ClusterUnavailable
from rolevend.kinds import AccessDecision, parse
from rolevend.kube.client import Body, KubeClient
from tests.support.manifests import changed, valid

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ALICE, ROBOT = "alice@example.org", "system:serviceaccount:domain-claims:robot"


class Reviews:
    """Answers SubjectAccessReviews: each verb is held or not."""

    def __init__(self, *verbs: str) -> None:
        self._verbs = verbs

    async def create(self, _resource: object, body: Body) -> Body:
        if not self._verbs:
            raise ClusterUnavailable("the API server is away")
        return {"status": {"allowed": body["spec"]["resourceAttributes"]["verb"] in self._verbs}}


def vote(by: str) -> AccessDecision:
    return parse(AccessDecision, changed(valid("AccessDecision", "yes", "domain-claims"), "spec.by", by))


@pytest.mark.parametrize(
    ("by", "verbs", "may"),
    [
        (ALICE, ["approve"], True),
        (ALICE, ["approve-as-robot"], False),
        (ROBOT, ["approve"], False),
        (ROBOT, ["approve-as-robot"], False),
        (ROBOT, ["approve", "approve-as-robot"], True),
        (ALICE, [], None),
        (ROBOT, [], None),
    ],
)
async def test_a_service_account_needs_a_second_verb_at_each_review_and_an_unknown_right_is_none(
    by: str, verbs: list[str], may: bool | None
):
    votes = Votes(cast(KubeClient, Reviews(*verbs)), lambda: NOW, lambda _: None)

    assert await votes.may_approve(vote(by)) is may
