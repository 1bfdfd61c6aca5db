"""Receivers are notified of requests on which people decide: by a real operator, and each receiver verifies the signature."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.proxies import ApiProxy, Asked, Moment
from tests.support.receiving import Call, WebhookReceiver, configured
from tests.support.requesting import AccessRequested, Requester
from tests.support.site import AGENTS, Body, Site
from tests.support.slack_model import accept, texts
from tests.support.tenancy import Tenant
from tests.support.waiting import DEADLINE, eventually

ATTEMPTS = 7


@dataclass
class Notified:
    """An operator with receivers, one of each behaviour."""

    site: Site
    folder: Path
    receivers: dict[str, WebhookReceiver] = field(
        default_factory=lambda: {
            "oncall": WebhookReceiver(),
            "spare": WebhookReceiver(),
            "chat": WebhookReceiver(key=None),
            "refusing": WebhookReceiver(answer=lambda _: (403, {})),
            "gone": WebhookReceiver(answer=lambda _: (410, {})),
        }
    )

    def __getitem__(self, name: str) -> WebhookReceiver:
        return self.receivers[name]

    def start(self, *, wait: bool = True, url: str = "", attempts: int = ATTEMPTS) -> None:
        settings = {
            "NOTIFICATIONS_FOLDER": str(self.folder),
            "NOTIFICATION_RETRY_SECONDS": "0.1",
            "NOTIFICATION_ATTEMPTS": str(attempts),
        }
        self.site.start_operator(settings, wait=wait, url=url)

    def restart(self, url: str = "", attempts: int = ATTEMPTS) -> None:
        self.site.operator.kill()
        self.start(url=url, attempts=attempts)

    def record(self, request: AccessRequested, receiver: str, event: str = "Pending") -> Body:
        """Wait until the status has it."""

        def found() -> list[Body]:
            listed = request.status.get("notifications", [])
            return [each for each in listed if (each["receiver"], each["event"]) == (receiver, event)]

        (record,) = eventually(found)
        return dict(record)

    def count(self, receiver: str, outcome: str) -> float:
        return self.site.metric("rolevend_notifications_total", receiver=receiver, outcome=outcome)


@pytest.fixture(scope="module")
def notified(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notified]:
    found = Notified(site, tmp_path_factory.mktemp("notifications"))
    site.operator.stop()
    for receiver in found.receivers.values():
        receiver.__enter__()
    configured(found.folder, found.receivers, default=("spare",), decisions=True)
    found.start()
    yield found
    site.operator.stop()
    for receiver in found.receivers.values():
        receiver.__exit__()


@pytest.fixture
def requester(notified: Notified, tenant: Tenant) -> Requester:
    return Requester(tenant)


def waiting(requester: Requester, *notify: str, **on_request: object) -> AccessRequested:
    requester.ready({**({"notify": list(notify)} if notify else {}), **on_request})
    request = requester.ask()
    request.is_now("Pending")
    return request


class TestDelivery:
    def test_a_receiver_is_told_once_and_the_status_records_it(self, notified: Notified, requester: Requester):
        request = waiting(requester, "oncall", approval={"required": 2})
        before = notified.count("oncall", "delivered")

        record = notified.record(request, "oncall")
        requester.vote(request)
        eventually(lambda: "1 of 2" in request.status["message"])

        assert (record["state"], record["attempts"]) == ("Delivered", 1)
        (call,) = notified["oncall"].about(request.name)
        assert call.body["data"]["request"]["uid"] == request.uid
        assert call.body["data"]["offer"]["digest"] == request.status["offer"]["digest"]
        assert call.body["data"]["expiresAt"] > call.body["time"]
        assert notified["spare"].about(request.name) == []
        assert notified.count("oncall", "delivered") >= before

    def test_the_default_receivers_are_told_of_an_offer_that_names_none(self, notified: Notified, requester: Requester):
        request = waiting(requester)

        assert notified.record(request, "spare")["state"] == "Delivered"
        assert notified["oncall"].about(request.name) == []

    def test_nobody_is_told_of_a_request_that_a_rule_approves(self, notified: Notified, requester: Requester):
        requester.ready({"notify": ["oncall"], "automatic": [{"name": "all", "limits": {"perUserPerDay": 1}}]})
        by_rule = requester.ask()
        by_rule.is_now("Approved")

        by_people = requester.ask(expirationSeconds=300)  # beyond the limit

        notified.record(by_people, "oncall")
        assert notified["oncall"].about(by_rule.name) == []
        assert by_rule.status.get("notifications", []) == []

    def test_the_decision_is_told_to_those_that_heard_of_the_request(self, notified: Notified, requester: Requester):
        request = waiting(requester, "oncall")
        notified.record(request, "oncall")

        requester.vote(request)

        assert notified.record(request, "oncall", "Decided")["state"] == "Delivered"
        _, decided = notified["oncall"].about(request.name)
        assert decided.body["type"] == "dev.rolevend.access.decided"
        assert decided.body["data"]["state"] == "Approved"
        assert decided.body["data"]["approval"]["approvers"] == ["alice@example.org"]

    def test_slack_gets_a_message_of_its_own(self, notified: Notified, requester: Requester):
        request = waiting(requester, "chat")
        notified.record(request, "chat")

        (message,) = [each.body for each in notified["chat"].calls if any(request.name in text for text in texts(each.body))]

        accept(message)
        assert any(f"rolevend approve {request.name} --namespace {AGENTS}" in text for text in texts(message))


class TestTrouble:
    @pytest.fixture
    def patient(self, notified: Notified) -> Iterator[Notified]:
        """With attempts for minutes: a busy machine takes seconds to look, in which those of the other tests are over."""
        notified.restart(attempts=2 * ATTEMPTS)
        yield notified
        notified.restart()

    @pytest.mark.long
    def test_a_receiver_that_is_down_is_told_when_it_is_up_again(self, patient: Notified, requester: Requester):
        patient["oncall"].stop()
        try:
            request = waiting(requester, "oncall")
            eventually(lambda: patient.count("oncall", "retried") > 0)
        finally:
            patient["oncall"].start()

        record = patient.record(request, "oncall")
        assert record["state"] == "Delivered"
        assert record["attempts"] > 1
        assert record["message"].startswith("cannot connect")
        assert len(patient["oncall"].about(request.name)) == 1

    @pytest.mark.long
    def test_one_that_refuses_for_ever_is_a_dead_letter_and_people_still_decide(self, notified: Notified, requester: Requester):
        request = waiting(requester, "refusing", "oncall")

        record = notified.record(request, "refusing")

        assert (record["state"], record["attempts"]) == ("Failed", ATTEMPTS)
        assert record["message"] == "it answers with status 403"
        calls = [each for each in notified["refusing"].calls if each.body["data"]["request"]["name"] == request.name]
        assert len({each.id for each in calls}) == 1
        assert len({each.headers["webhook-timestamp"] for each in calls}) > 1
        assert notified.record(request, "oncall")["state"] == "Delivered"
        eventually(lambda: notified.count("refusing", "failed") >= 1)
        eventually(lambda: "NotificationFailed" in {reason for reason, _ in notified.site.events(AGENTS, request.name)})
        requester.vote(request)
        request.is_now("Approved")
        requester.role(request).ready()

    def test_one_that_wants_no_more_is_not_called_again(self, notified: Notified, requester: Requester):
        record = notified.record(waiting(requester, "gone"), "gone")

        assert (record["state"], record["attempts"]) == ("Failed", 1)

    def test_a_name_that_is_not_configured_is_a_dead_letter(self, notified: Notified, requester: Requester):
        record = notified.record(waiting(requester, "nobody"), "nobody")

        assert (record["state"], record["attempts"]) == ("Failed", 0)
        assert "no receiver of this name" in record["message"]

    def test_while_one_hangs_requests_are_decided_roles_vended_and_revoked(self, notified: Notified, requester: Requester):
        notified["oncall"].released.clear()
        try:
            hanging = waiting(requester, "oncall")
            request = requester.approved()
            role = requester.role(request).ready()
            requester.site.remove(request.votes[0])
            request.is_now("Revoked")
            role.gone()

            assert hanging.status.get("notifications", []) == []
        finally:
            notified["oncall"].released.set()
        assert notified.record(hanging, "oncall")["state"] == "Delivered"


class TestRestart:
    @pytest.mark.long
    def test_one_that_was_told_is_not_told_again(self, notified: Notified, requester: Requester):
        request = waiting(requester, "oncall")
        notified.record(request, "oncall")

        notified.restart()
        later = requester.ask(expirationSeconds=300)
        notified.record(later, "oncall")

        assert len(notified["oncall"].about(request.name)) == 1

    @pytest.mark.long
    def test_killed_between_the_call_and_its_record_it_calls_again_with_the_same_id(self, notified: Notified, requester: Requester):
        api = ApiProxy(notified.site.control_plane.server)
        try:
            notified.restart(api.url)
            trap = api.set_trap(_records_a_notification, Moment.BEFORE)
            request = waiting(requester, "oncall")
            assert trap.caught.wait(DEADLINE)
            notified.site.operator.kill()  # or it might call again, since its record does not come through
            (first,) = notified["oncall"].about(request.name)
            notified.restart()
        finally:
            api.take_traps_away()
            api.close()

        assert notified.record(request, "oncall")["state"] == "Delivered"
        calls: list[Call] = notified["oncall"].about(request.name)
        assert [each.id for each in calls] == [first.id, first.id]
        assert calls[1].body == first.body


def _records_a_notification(asked: Asked) -> bool:
    return re.search(r'PATCH .*/accessrequests/[^/]+/status\n.*"notifications"', asked.text, re.DOTALL) is not None


def test_a_bad_configuration_ends_the_operator_at_its_start(site: Site, tmp_path: Path):
    configured(tmp_path, {"oncall": WebhookReceiver(port=1)})
    (tmp_path / "oncall" / "url").write_text("http://receiver.example.org")

    operator, _ = site.start_replica("rolevend-1", {"NOTIFICATIONS_FOLDER": str(tmp_path)})

    eventually(lambda: not operator.process.running)
    assert operator.process.exit_code != 0
    assert f"rolevend: {tmp_path}/oncall/url: must be one https:// URL" in operator.log.read_text()
    operator.log.write_text("")  # no lines of JSON, which `Site.log_lines` expects: it ended before it had a log
