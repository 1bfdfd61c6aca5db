"""An object that is there already under the name of a call is taken up only where the API made it for the same agent and user."""

import json
from dataclasses import replace
from typing import Any, cast
from uuid import uuid4

import pytest

from rolevend.api.problems import Problem
from rolevend.api.repository import (
    OpenedRole,
    VendCall,
    VendedRoleRepository,
    body_of,
)
from rolevend.decision.outcome import Delivery
from rolevend.kube.client import Body, KubeClient, ResourceConflict
from rolevend.model import ClusterId, ObjectName
from rolevend.roles.decision import PlatformGrant
from rolevend.roles.objects import VendedRoleWriter
from tests.support import registered
from tests.support.approvals import NoApprovals
from tests.support.registered import REQUEST

DIGEST = "sha256:digest"
NAME = ObjectName("agents", "finbot-0f3a")
ASKED = (PlatformGrant(replace(REQUEST, name=NAME, delivery=Delivery.RESPONSE), registered.granted()),)
CALL = VendCall(DIGEST, keyed=True, token=None, most_live=None)


class Occupied:
    """An API server that has an object of the name."""

    def __init__(self, there: Body) -> None:
        self._there = there

    async def create(self, *_: object) -> Body:
        raise ResourceConflict("vendedroles", NAME.name)

    async def get(self, *_: object) -> Body:
        return cast(Body, json.loads(json.dumps(self._there)))


class Known:
    """What the watch told of: nothing."""

    def get(self, _: ObjectName) -> None:
        return None

    async def begun(self, *_: object) -> None:
        return None


async def opened(there: Body) -> OpenedRole:
    objects = VendedRoleWriter(cast(KubeClient, Occupied(there)), lambda: registered.NOW)
    return await VendedRoleRepository(objects, cast(Any, Known()), NoApprovals(), uuid4, ClusterId("cluster")).open(ASKED, CALL)


def there(**spec: Any) -> Body:
    """The object as the API makes it, but for what is said of its spec."""
    body = dict(body_of(ASKED, DIGEST))
    body["metadata"] = {**body["metadata"], "uid": "uid-of-it", "creationTimestamp": "2026-11-24T13:00:00Z", "resourceVersion": "1"}
    body["spec"] = {**body["spec"], **spec}
    return body


async def test_the_same_call_again_takes_its_own_object_up():
    found = await opened(there())

    assert (found.role.name, found.is_new) == (NAME.name, False)


PLANTED = {
    "another agent": there(agentRef={"name": "other"}),
    "another user": there(user={"issuer": "https://idp.example.org", "subject": "mallory"}),
    "another issuer": there(user={"issuer": "https://other.example.org", "subject": REQUEST.user.subject}),
    "another delivery": there(delivery="Secret"),
    "another time": there(expirationSeconds=3000),
    "another purpose": there(purpose="curiosity"),
    "other tables": there(resources=[{"schema": "claims", "table": "payments"}]),
    "another task": there(task={"id": "another"}),
    "less than all": there(allowPartial=True),
}


@pytest.mark.parametrize("body", PLANTED.values(), ids=PLANTED.keys())
async def test_an_object_of_another_question_is_not_taken_up_though_it_says_the_digest(body: Body):
    with pytest.raises(Problem) as refused:
        await opened(body)

    assert (refused.value.status, refused.value.code) == (409, "IdempotencyConflict")


async def test_an_object_that_somebody_else_created_is_not_taken_up():
    body = there()
    body["metadata"]["annotations"]["rolevend.dev/requested-by"] = "system:serviceaccount:agents:mallory"

    with pytest.raises(Problem) as refused:
        await opened(body)

    assert refused.value.code == "IdempotencyConflict"
