"""The configuration of receivers: what is refused, and where the error points."""

from pathlib import Path

import pytest
import yaml

from rolevend.errors import InvalidInput
from rolevend.notifications.receivers import Format, is_allowed, read_receivers
from tests.support.receiving import WebhookReceiver, configured, new_key

HOOK = WebhookReceiver(port=1)


def test_each_receiver_has_the_files_of_its_secret(tmp_path: Path):
    configured(tmp_path, {"oncall": HOOK, "chat": WebhookReceiver(key=None, port=2)}, default=("oncall",), decisions=True)

    found = read_receivers(tmp_path)

    assert found.default == ("oncall",)
    assert {name: each.format for name, each in found.by_name.items()} == {"oncall": Format.STANDARD_WEBHOOKS, "chat": Format.SLACK}
    assert found.by_name["oncall"].hears_decisions
    assert found.by_name["oncall"].endpoint().url == HOOK.url
    assert found.by_name["chat"].endpoint().keys == ()


def test_a_changed_secret_needs_no_restart(tmp_path: Path):
    configured(tmp_path, {"oncall": HOOK})
    oncall = read_receivers(tmp_path).by_name["oncall"]
    before = oncall.endpoint().keys

    (tmp_path / "oncall" / "key").write_text(new_key())

    assert oncall.endpoint().keys != before


@pytest.mark.parametrize(
    ("spelled", "field"),
    [
        ("- oncall", "receivers.yaml"),
        ("{", "receivers.yaml"),
        ({}, "receivers.yaml: receivers"),
        ({"receivers": [{"name": "On Call"}]}, "receivers.yaml: receivers[0].name"),
        ({"receivers": [{"name": "../oncall"}]}, "receivers.yaml: receivers[0].name"),
        ({"receivers": [{"name": "oncall", "format": "Teams"}]}, "receivers.yaml: receivers[0].format"),
        ({"receivers": [{"name": "oncall", "url": "https://example.org"}]}, "receivers.yaml: receivers[0].url"),
        ({"receivers": [{"name": "oncall"}, {"name": "oncall"}]}, "receivers.yaml: receivers"),
        ({"receivers": [{"name": "oncall"}], "default": ["chat"]}, "receivers.yaml: default"),
        ({"receivers": [{"name": "pager"}]}, "pager/url"),
    ],
)
def test_a_bad_file_is_refused_with_its_field(tmp_path: Path, spelled: object, field: str):
    configured(tmp_path, {"oncall": HOOK})
    (tmp_path / "receivers.yaml").write_text(spelled if isinstance(spelled, str) else yaml.safe_dump(spelled))

    with pytest.raises(InvalidInput) as refused:
        read_receivers(tmp_path)

    assert refused.value.field.startswith(f"{tmp_path}/{field}")


@pytest.mark.parametrize(("file", "text"), [("url", "http://receiver.example.org/token-123"), ("url", ""), ("key", "token-123")])
def test_a_bad_secret_is_refused_with_its_file_and_not_shown(tmp_path: Path, file: str, text: str):
    configured(tmp_path, {"oncall": HOOK})
    (tmp_path / "oncall" / file).write_text(text)

    with pytest.raises(InvalidInput) as refused:
        read_receivers(tmp_path)

    assert refused.value.field == str(tmp_path / "oncall" / file)
    assert "token-123" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example.org",
        "http://127.0.0.1.example.org/",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "https://",
        "https://user:word@receiver.example.org/",
        "https://receiver.example.org/#fragment",
        "https://receiver.example.org:port/",
        "https://receiver.example.org/\nHost: other",
        "https://[::1",
        "",
    ],
)
def test_a_url_that_is_not_allowed(url: str):
    assert not is_allowed(url)


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.com/services/T0/B0/x", "https://r.example.org/hook?sig=1&v=2", "http://127.0.0.1:8080/"]
)
def test_a_url_that_is_allowed(url: str):
    assert is_allowed(url)
