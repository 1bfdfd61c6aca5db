"""One call of a real receiver."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rolevend.notifications.notice import notice
from rolevend.notifications.receivers import Occasion, Receiver, read_receivers
from rolevend.notifications.sender import CallResult, NotificationSender
from rolevend.policytools.embedded.certificates import CertificateAuthority
from tests.support.noticed import judged
from tests.support.receiving import WebhookReceiver, configured, new_key

NOTICE = notice(judged(), Occasion.PENDING, "oncall", 3600)


def configured_receiver(folder: Path, receiver: WebhookReceiver) -> Receiver:
    return read_receivers(configured(folder, {"oncall": receiver})).by_name["oncall"]


async def send(receiver: Receiver, seconds: float = 10) -> CallResult:
    return await NotificationSender("/rolevend/clusters/c", lambda: datetime.now(UTC), seconds).send(receiver, NOTICE)


async def test_a_receiver_that_verifies_the_signature_accepts_it(tmp_path: Path):
    with WebhookReceiver() as hook:
        assert await send(configured_receiver(tmp_path, hook)) == CallResult()

        (call,) = hook.accepted
        assert call.id == NOTICE.id
        assert call.headers["content-type"] == "application/json"
        assert call.body["data"] == NOTICE.data


async def test_it_refuses_what_another_key_signed(tmp_path: Path):
    with WebhookReceiver() as hook:
        receiver = configured_receiver(tmp_path, hook)
        (tmp_path / "oncall" / "key").write_text(new_key())

        found = await send(receiver)

        assert found.problem == "it answers with status 401"
        assert hook.accepted == []


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, CallResult()),
        (410, {}, CallResult("it answers with status 410", is_final=True)),
        (429, {"Retry-After": "7"}, CallResult("it answers with status 429", retry_after=7)),
        (503, {"Retry-After": "soon"}, CallResult("it answers with status 503")),
        (404, {}, CallResult("it answers with status 404")),
    ],
)
async def test_its_status_is_the_result(tmp_path: Path, status: int, headers: dict[str, str], expected: CallResult):
    with WebhookReceiver(answer=lambda _: (status, headers)) as hook:
        assert await send(configured_receiver(tmp_path, hook)) == expected


async def test_a_redirect_is_not_followed(tmp_path: Path):
    with WebhookReceiver() as target, WebhookReceiver(answer=lambda _: (307, {"Location": target.url})) as hook:
        found = await send(configured_receiver(tmp_path, hook))

        assert "redirects are not followed" in str(found.problem)
        assert target.calls == []


async def test_one_that_does_not_answer_costs_a_bounded_time(tmp_path: Path):
    with WebhookReceiver() as hook:
        hook.released.clear()

        assert (await send(configured_receiver(tmp_path, hook), seconds=0.3)).problem == "no answer within 0.3 seconds"


async def test_one_that_is_down_is_a_failure_that_does_not_show_the_url(tmp_path: Path):
    with WebhookReceiver() as hook:
        receiver = configured_receiver(tmp_path, hook)

    found = await send(receiver)

    assert str(found.problem).startswith("cannot connect: ")
    assert "/hook" not in str(found.problem)


async def test_a_secret_that_became_invalid_is_a_failure(tmp_path: Path):
    with WebhookReceiver() as hook:
        receiver = configured_receiver(tmp_path, hook)
        (tmp_path / "oncall" / "url").unlink()

        assert "cannot be read" in str((await send(receiver)).problem)


async def test_no_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with WebhookReceiver() as proxy, WebhookReceiver() as hook:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)

        assert (await send(configured_receiver(tmp_path, hook))).problem is None
        assert proxy.calls == []


def certificate(folder: Path, authority: CertificateAuthority, host: str) -> ssl.SSLContext:
    pair = authority.issue(host, hosts=[host])
    file = folder / f"{host}.pem"
    file.write_bytes(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_a_certificate_is_verified(tmp_path: Path):
    authority = CertificateAuthority("ours", datetime.now(UTC), timedelta(days=1))
    with WebhookReceiver(tls=certificate(tmp_path, authority, "127.0.0.1")) as hook:
        receiver = configured_receiver(tmp_path, hook)

        untrusted = await send(receiver)
        (tmp_path / "oncall" / "ca.crt").write_bytes(authority.certificate)
        trusted = await send(receiver)
        (tmp_path / "oncall" / "ca.crt").write_text("no certificate")
        unreadable = await send(receiver)

        assert "is not trusted" in str(untrusted.problem)
        assert trusted == CallResult()
        assert "no certificates in PEM" in str(unreadable.problem)
        assert len(hook.calls) == 1


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path):
    authority = CertificateAuthority("ours", datetime.now(UTC), timedelta(days=1))
    with WebhookReceiver(tls=certificate(tmp_path, authority, "127.0.0.2")) as hook:
        receiver = configured_receiver(tmp_path, hook)
        (tmp_path / "oncall" / "ca.crt").write_bytes(authority.certificate)

        assert "is not trusted" in str((await send(receiver)).problem)
        assert hook.calls == []
