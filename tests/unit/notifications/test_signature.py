"""Signatures as Standard Webhooks says: checked with its own library, and with a vector that all its libraries share."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from rolevend.errors import InvalidInput
from rolevend.notifications.signature import keys_in, signed
from tests.support.receiving import new_key

BODY = b'{"data":"\\u202e"}'


def headers(text: str, body: bytes = BODY) -> dict[str, str]:
    return dict(signed("msg_1", body, keys_in(text, "key"), datetime.now(UTC)))


def test_the_vector_of_the_standard():
    keys = keys_in("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "key")

    found = signed("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', keys, datetime.fromtimestamp(1614265330, UTC))

    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_holder_of_the_key_verifies_it():
    key = new_key()

    assert Webhook(key).verify(BODY, headers(key)) == {"data": "\u202e"}


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_no_part_can_be_changed(header: str):
    key = new_key()
    written = headers(key)
    later = str(int(written["webhook-timestamp"]) + 1)
    changed = {"webhook-id": "msg_2", "webhook-timestamp": later, "webhook-signature": "v1,AAAA"}

    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(key).verify(BODY, written | {header: changed[header]})
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(key).verify(BODY + b" ", written)


def test_another_key_does_not_verify_it():
    with pytest.raises(WebhookVerificationError):
        Webhook(new_key()).verify(BODY, headers(new_key()))


def test_while_a_key_is_replaced_the_holders_of_both_verify_it():
    old, new = new_key(), new_key()

    found = headers(f"{new}\n{old}\n")

    assert Webhook(old).verify(BODY, found)
    assert Webhook(new).verify(BODY, found)


def test_without_a_key_nothing_is_signed():
    assert signed("msg_1", BODY, (), datetime.now(UTC)).keys() == {"webhook-id", "webhook-timestamp"}


SHORT = base64.b64encode(b"x" * 23).decode()


@pytest.mark.parametrize("text", ["", "secret-word", "whsec_", f"whsec_{SHORT}", "whsec_not*base64", f"{new_key()}\n" * 5])
def test_a_bad_key_is_refused_and_not_shown(text: str):
    with pytest.raises(InvalidInput, match="openssl rand") as refused:
        keys_in(text, "/keys/key")

    assert refused.value.field == "/keys/key"
    assert not any(word in str(refused.value) for word in ("secret-word", SHORT, "not*base64"))


def test_a_key_does_not_print_itself():
    (key,) = keys_in(new_key(), "key")

    assert "secret" not in repr(key)
