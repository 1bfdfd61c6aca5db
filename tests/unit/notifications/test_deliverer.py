"""One delivery, where the request changes between two calls of its receiver."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from rolevend.access_objects.store import AccessRequestStore
from rolevend.kinds import AccessRequest
from rolevend.model import ObjectName, Uid
from rolevend.notifications.deliverer import NotificationDeliverer
from rolevend.notifications.due import DueNotification
from rolevend.notifications.notice import Notice
from rolevend.notifications.receivers import Format, Occasion, Receiver, Receivers
from rolevend.notifications.recorder import DeliveryResult, NotificationRecorder
from rolevend.notifications.schedule import RetrySchedule
from rolevend.notifications.sender import CallResult, NotificationSender
from tests.support.noticed import judged

NAME = ObjectName("agents", "ask")
DUE = DueNotification(Uid("request-uid"), "oncall", Occasion.PENDING)
RECEIVERS = Receivers({"oncall": Receiver("oncall", Format.SLACK, False, Path())})
DOWN, OK = CallResult("cannot connect"), CallResult()
WAITING, DENIED = judged(), judged({"state": "Denied", "reason": "DeniedByPerson"})


class Versions:
    """A store that has the next version of the request at each look."""

    def __init__(self, *versions: AccessRequest | None) -> None:
        self._versions = iter(versions)

    def get(self, _name: ObjectName) -> AccessRequest | None:
        return next(self._versions)


class Sender:
    def __init__(self, *results: CallResult) -> None:
        self._results: Iterator[CallResult] = iter(results)
        self.ids: list[str] = []

    async def send(self, _receiver: Receiver, notice: Notice) -> CallResult:
        self.ids.append(notice.id)
        return next(self._results)


class Results:
    def __init__(self) -> None:
        self.found: list[DeliveryResult] = []

    def retried(self, *_: object) -> None: ...

    async def record(self, _name: ObjectName, _due: DueNotification, result: DeliveryResult) -> None:
        self.found.append(result)


async def deliver(store: Versions, sender: Sender, attempts: int = 3) -> list[DeliveryResult]:
    results = Results()
    deliverer = NotificationDeliverer(
        cast(AccessRequestStore, store),
        RECEIVERS,
        cast(NotificationSender, sender),
        cast(NotificationRecorder, results),
        RetrySchedule(0.001, attempts),
    )
    await deliverer.deliver(NAME, DUE, 3600)
    return results.found


async def test_each_call_has_the_same_id_and_the_record_the_last_failure():
    sender = Sender(DOWN, OK)

    assert await deliver(Versions(WAITING, WAITING), sender) == [DeliveryResult(True, 2, "cannot connect")]
    assert len(set(sender.ids)) == 1


async def test_a_request_that_was_decided_meanwhile_is_given_up():
    found = await deliver(Versions(WAITING, DENIED), Sender(DOWN))

    assert found == [DeliveryResult(False, 1, "the request was decided before the receiver was notified; cannot connect")]


async def test_one_that_was_decided_before_the_first_call_is_no_news():
    sender = Sender()

    assert await deliver(Versions(DENIED), sender) == []
    assert sender.ids == []


async def test_a_deleted_request_and_another_of_its_name_are_none_of_this_delivery():
    other = WAITING.model_copy(update={"metadata": WAITING.metadata.model_copy(update={"uid": "other-uid"})})

    assert await deliver(Versions(None), Sender()) == []
    assert await deliver(Versions(other), Sender()) == []


async def test_it_ends_after_the_last_attempt():
    assert await deliver(Versions(*[WAITING] * 3), Sender(*[DOWN] * 3)) == [DeliveryResult(False, 3, "cannot connect")]
