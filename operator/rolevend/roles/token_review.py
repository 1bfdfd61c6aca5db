"""Review a ServiceAccount's token at the API server, which knows if its account and its pod still exist."""

from typing import Any, Final

from rolevend.errors import ClusterUnavailable, RolevendError
from rolevend.identity.service_account import Authenticated, NotTaken, Review
from rolevend.kube.client import TOKEN_REVIEWS, KubeClient

_UNANSWERED: Final = "asking the cluster about a ServiceAccount's token: it gives no answer"
_RIGHT: Final = "does its API server answer, and may we create tokenreviews.authentication.k8s.io?"


class TokenReviewer:
    """Implements `identity.review.Reviewer`."""

    def __init__(self, cluster: KubeClient) -> None:
        self._cluster = cluster

    async def review(self, token: str, audiences: frozenset[str]) -> Review:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token, "audiences": sorted(audiences)}}
        try:
            answer = await self._cluster.create(TOKEN_REVIEWS, body)
        except RolevendError as error:
            # The message may repeat the request, and so the token: report only the class of the error.
            raise ClusterUnavailable(f"{_UNANSWERED} ({type(error).__name__}); {_RIGHT}") from None
        return _read(answer.get("status"))


def _read(status: Any) -> Review:
    """Parse the answer. Raises ClusterUnavailable if it is malformed."""
    if not isinstance(status, dict):
        raise ClusterUnavailable(f"{_UNANSWERED}, but something else")
    if status.get("authenticated") is not True:
        return NotTaken()
    user, audiences = status.get("user"), status.get("audiences", [])
    if not isinstance(user, dict) or not isinstance(audiences, list):
        raise ClusterUnavailable(f"{_UNANSWERED}, but something else")
    # A token without audiences is for the API server itself.
    return Authenticated(str(user.get("username", "")), str(user.get("uid", "")), frozenset(map(str, audiences)))
