"""Words of agents and people are shown without control characters, links, markup and secrets, and never as more than a quotation."""

import time
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolevend.access_requests.text import LINK, MAXIMUM_CHARACTERS, SECRET, Speaker, quoted, sanitized

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlLW9mLWE"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nu5Tn\n-----END RSA PRIVATE KEY-----"


def test_an_agent_is_quoted_as_not_verified():
    assert quoted("open claims of 2026", Speaker.AGENT) == 'the agent says (not verified): "open claims of 2026"'
    assert quoted("fine", Speaker.APPROVER) == 'the approver says: "fine"'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("  a  ", "a"),
        ("a\u2028b\u2029c\u00a0d", "a b c d"),
        ("\u202etxt.exe\u202c", "txt·exe"),
        ("a\u2066b\u2069\u200e\u200f\u061cc", "abc"),
        ("pass\u200bport\ufeff\u00ad", "passport"),
        ("\x1b[31mred\x1b[0m\x07", "［31mred［0m"),
        ("a\ud800b\ue000c", "abc"),
        ("Z\u0300\u0301\u0302\u0303\u0304", "Z\u0300\u0301"),
        ("für Größe, 漢字, Ελλάδα", "für Größe, 漢字, Ελλάδα"),
        ("rate 3.5 of claims.open_claims", "rate 3.5 of claims·open_claims"),
    ],
)
def test_control_and_bidirectional_characters_are_removed(text: str, shown: str):
    assert sanitized(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://evil.example/x?y=1 now", f"see {LINK} now"),
        ("HTTP://EVIL.example", LINK),
        ("slack://open?id=1", LINK),
        ("javascript:alert(1)", LINK),
        ("mailto:anna@example.org", LINK),
        ("www.evil.example", LINK),
        ("//evil.example/x", LINK),
        ("evil.example", "evil·example"),
        ("anna@example.org", "anna＠example·org"),
        ("ht\u200btps://evil.example", LINK),
        ("<script>alert(1)</script>", "＜script＞alert(1)＜/script＞"),
        ("&lt;b&gt;", "＆lt;b＆gt;"),
        ("**yes** _yes_ ~yes~ `yes`", "＊＊yes＊＊ ＿yes＿ ～yes～ ｀yes｀"),
        ("[approve](x)", "［approve］(x)"),
        ("<!channel> <@U1>", "＜!channel＞ ＜＠U1＞"),
        ("| a | b |", "｜ a ｜ b ｜"),
        ('" approved by alice: "', "' approved by alice: '"),
        ("“x” „y“ «z»", "'x' 'y' 'z'"),
    ],
)
def test_links_and_markup_become_inert(text: str, shown: str):
    assert sanitized(text) == shown


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        JWT.rpartition(".")[0],
        KEY,
        KEY.partition("\n---")[0],
        KEY.replace("RSA ", "ENCRYPTED "),
        "password=hunter2",
        "PASSWORD = 'hunter2 and more'",
        "db_password: hunter2",
        '"password": "hunter2"',
        "Passwort: hunter2",
        "pass\u200bword=hunter2",
        "client_secret=hunter2",
        "api-key: hunter2",
        "access_token => hunter2",
        "Authorization: Bearer hunter2hunter2",
        "postgres://anna:hunter2@db.example.org/claims",
        "AKIAHUNTER2HUNTER2H2",
        "ghp_hunter2hunter2hunter2",
        "xoxb-1234-hunter2",
    ],
)
def test_secrets_are_replaced(secret: str):
    shown = sanitized(f"please use {secret} for this")

    assert SECRET in shown or LINK in shown
    assert "hunter2" not in shown.lower()
    assert not any(part in shown for part in ("MIIE", "eyJ"))
    assert shown.startswith("please use")


@pytest.mark.parametrize(
    "text", ["the secret of the claims", "token ring", "no password is needed", "basic information about claims", "pwd"]
)
def test_words_about_secrets_stay(text: str):
    assert sanitized(text) == text


def test_it_is_cut_at_five_hundred_characters():
    assert sanitized("a" * 500) == "a" * 500
    assert sanitized("a" * 501) == "a" * 499 + "…"


def test_a_secret_across_the_cut_is_replaced_before():
    assert "eyJ" not in sanitized("a" * 480 + " " + JWT + "x" * 3000)


@pytest.mark.parametrize(
    "part", ["a", "secret", "eyJ", "-----BEGIN ", "a:", ".", "x.", "//", "_", "pass word", "\u0300", "\u202e", "=", "' ", "http://"]
)
def test_a_megabyte_takes_no_time(part: str):
    begin = time.process_time()

    assert len(sanitized(part * (1_000_000 // len(part)))) <= MAXIMUM_CHARACTERS
    assert time.process_time() - begin < 1


PIECES = st.sampled_from(
    [
        JWT,
        KEY,
        "password=",
        "hunter2",
        "http://",
        "evil.example",
        "\u202e",
        "\u2066",
        "\n",
        "\x1b",
        "<b>",
        "**",
        "_",
        '"',
        "&",
        "a" * 200,
        " ",
    ]
)


@given(st.lists(st.one_of(st.text(max_size=20), PIECES), max_size=12).map("".join))
def test_whatever_is_written_stays_a_quotation(text: str):
    shown = sanitized(text)

    assert len(shown) <= MAXIMUM_CHARACTERS
    assert {category(each) for each in shown}.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    assert set(shown).isdisjoint('"<>&`*[]~|\\@\n')
    assert "://" not in shown
    assert "PRIVATE KEY-----" not in shown
    assert JWT not in shown
    assert quoted(text, Speaker.AGENT).count('"') == 2
