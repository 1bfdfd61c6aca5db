"""Security event tokens: which are verified, whom they are about, and that they and tokens of people never pose as each other."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath
from rolevend.identity.provider import SignalTerms, TokenType, by_issuer
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.security_event import MAXIMUM_AGE, Signal, SignalEffect, verify_events
from rolevend.kinds import IdentityProvider
from rolevend.kinds.parse import parse
from rolevend.model import User
from rolevend.snapshot.identity_providers import provider_of
from tests.support import tokens
from tests.support.pages import ROOT
from tests.support.signalling import CAEP, RISC, SSF, event_claims
from tests.support.tokens import ISSUER, KNOWN, MOMENT, NOW, OTHER, OTHER_ISSUER, PROVIDER, Body

AUDIENCE = "https://rolevend.example.org/ssf/v1/events"
SENDER = replace(PROVIDER, signals=SignalTerms(AUDIENCE, ISSUER))
PROVIDERS = by_issuer((SENDER, OTHER))
REVOKED = f"{CAEP}session-revoked"


def claims(event: str = REVOKED, payload: Body | None = None, without: tuple[str, ...] = (), **changed: Any) -> Body:
    body = event_claims(event, ISSUER, AUDIENCE, at=MOMENT, payload=payload, **changed)
    return {name: value for name, value in body.items() if name not in without}


def head(**changed: Any) -> Body:
    return tokens.header(**{"typ": "secevent+jwt", **changed})


def read(body: Body, providers: Any = PROVIDERS, now: datetime = NOW, **changed: Any) -> Signal:
    (signal,) = verify_events(tokens.token(body, head(**changed)), providers, KNOWN, now).signals
    return signal


def refusal(token: str, providers: Any = PROVIDERS, now: datetime = NOW) -> Code:
    with pytest.raises(TokenRefused) as error:
        verify_events(token, providers, KNOWN, now)
    return error.value.code


def about(sub_id: Any) -> Body:
    return claims(sub_id=sub_id)


@pytest.mark.parametrize(
    ("event", "effect"),
    [
        *((f"{CAEP}{name}", SignalEffect.END_SESSIONS) for name in ("session-revoked", "credential-change", "token-claims-change")),
        *((f"{RISC}{name}", SignalEffect.END_SESSIONS) for name in ("sessions-revoked", "credential-compromise")),
        (f"{RISC}account-credential-change-required", SignalEffect.END_SESSIONS),
        (f"{RISC}account-disabled", SignalEffect.DISABLE),
        (f"{RISC}account-purged", SignalEffect.PURGE),
        (f"{RISC}account-enabled", SignalEffect.ENABLE),
        *((f"{CAEP}{name}", SignalEffect.NONE) for name in ("session-established", "session-presented", "risk-level-change")),
        *((f"{SSF}{name}", SignalEffect.NONE) for name in ("verification", "stream-updated")),
        (f"{CAEP}session-revoked/", SignalEffect.NONE),
        (f"{RISC}session-revoked", SignalEffect.NONE),
        ("https://example.org/invented", SignalEffect.NONE),
    ],
)
def test_each_event_has_one_effect_and_an_unknown_one_has_none(event: str, effect: SignalEffect):
    found = read(claims(event))
    assert (found.effect, found.user) == (effect, None if effect is SignalEffect.NONE else User(ISSUER, "anna"))


@pytest.mark.parametrize(
    ("direction", "effect"),
    [("increase", SignalEffect.NONE), ("decrease", SignalEffect.END_SESSIONS), (None, SignalEffect.END_SESSIONS)],
)
def test_only_a_login_that_is_assured_better_changes_nothing(direction: str | None, effect: SignalEffect):
    assert read(claims(f"{CAEP}assurance-level-change", {"change_direction": direction})).effect is effect


def test_an_event_of_the_stream_itself_needs_no_user():
    assert read(claims(f"{SSF}verification", {"state": "x"}, sub_id={"format": "opaque", "id": "stream-1"})).user is None
    assert read(claims(f"{SSF}stream-updated", {"status": "paused"}, without=("sub_id",))).user is None


ISS_SUB = {"format": "iss_sub", "iss": ISSUER, "sub": "anna"}


@pytest.mark.parametrize(
    "body",
    [
        about({"format": "opaque", "id": "anna"}),
        about(
            {"format": "complex", "user": ISS_SUB, "session": {"format": "opaque", "id": "s-1"}, "device": {"format": "opaque", "id": "d"}}
        ),
        about({"user": ISS_SUB, "tenant": {"format": "opaque", "id": "t"}}),
        about({"subject_type": "iss-sub", "iss": ISSUER, "sub": "anna"}),
        claims(without=("sub_id",), payload={"subject": ISS_SUB}),
        claims(payload={"subject": {"user": ISS_SUB}}),
        claims(exp=MOMENT - 60, sub="bob"),
        claims(aud=["https://elsewhere.example.org", AUDIENCE]),
    ],
)
def test_the_user_is_found_by_every_form_that_names_one(body: Body):
    assert read(body).user == User(ISSUER, "anna")


def test_an_email_address_is_a_user_only_where_it_is_the_subject_of_tokens():
    body = about({"format": "email", "email": "anna@example.org"})
    by_email = replace(SENDER, mapping=ClaimMapping(subject=ClaimPath(("email",))))

    assert read(body, by_issuer((by_email,))).user == User(ISSUER, "anna@example.org")
    assert refusal(tokens.token(body, head())) is Code.MALFORMED_CLAIM


def test_a_transmitter_of_its_own_speaks_of_the_users_of_the_issuer_that_it_names():
    sender = replace(SENDER, signals=SignalTerms(AUDIENCE, OTHER_ISSUER))
    for issuer in (ISSUER, OTHER_ISSUER):
        body = about({"format": "iss_sub", "iss": issuer, "sub": "anna"})
        assert read(body, by_issuer((sender, OTHER))).user == User(OTHER_ISSUER, "anna")
    foreign = about({"format": "iss_sub", "iss": "https://third.example.org", "sub": "anna"})
    assert refusal(tokens.token(foreign, head()), by_issuer((sender, OTHER))) is Code.ANOTHER_ISSUERS_USER


@pytest.mark.parametrize(
    ("sub_id", "code"),
    [
        ({"format": "iss_sub", "iss": OTHER_ISSUER, "sub": "anna"}, Code.ANOTHER_ISSUERS_USER),
        ({"format": "complex", "user": {"format": "iss_sub", "iss": OTHER_ISSUER, "sub": "anna"}}, Code.ANOTHER_ISSUERS_USER),
        ({"format": "iss_sub", "iss": f"{ISSUER}/", "sub": "anna"}, Code.ANOTHER_ISSUERS_USER),
        *(
            (each, Code.MALFORMED_CLAIM)
            for each in (
                None,
                "anna",
                [],
                {},
                ISS_SUB | {"sub": 7},
                ISS_SUB | {"sub": ""},
                ISS_SUB | {"sub": "a" * 256},
                ISS_SUB | {"sub": "an\nna"},
                ISS_SUB | {"iss": None},
                {"iss": ISSUER, "sub": "anna"},
                {"format": ["iss_sub"], "iss": ISSUER, "sub": "anna"},
                {"format": "opaque", "id": {}},
                {"format": "account", "uri": "acct:anna@example.org"},
                {"format": "phone_number", "phone_number": "+12065550100"},
                {"format": "aliases", "identifiers": [ISS_SUB]},
                {"format": "complex", "session": {"format": "opaque", "id": "s-1"}},
                {"format": "complex", "tenant": {"format": "opaque", "id": "t"}},
                {"format": "complex", "user": {"format": "complex", "user": ISS_SUB}},
                {"format": "complex", "user": "anna"},
            )
        ),
    ],
)
def test_a_subject_that_names_no_user_of_this_issuer_is_refused(sub_id: Any, code: Code):
    assert refusal(tokens.token(about(sub_id), head())) is code


def test_two_subjects_must_be_one_user():
    body = claims(payload={"subject": ISS_SUB | {"sub": "bob"}})
    assert refusal(tokens.token(body, head())) is Code.MALFORMED_CLAIM
    assert refusal(tokens.token(claims(without=("sub_id",)), head())) is Code.MISSING_CLAIM


AGE = int(MAXIMUM_AGE.total_seconds())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (claims(iss="https://nobody.example.org"), Code.UNKNOWN_ISSUER),
        (claims(aud=tokens.AUDIENCE), Code.WRONG_AUDIENCE),
        (claims(aud=[]), Code.MALFORMED_CLAIM),
        (claims(without=("aud",)), Code.MISSING_CLAIM),
        (claims(without=("iat",)), Code.MISSING_CLAIM),
        (claims(without=("jti",)), Code.MISSING_CLAIM),
        (claims(jti=7), Code.MALFORMED_CLAIM),
        (claims(iat="now"), Code.MALFORMED_CLAIM),
        (claims(iat=MOMENT + 31), Code.ISSUED_IN_THE_FUTURE),
        (claims(iat=MOMENT - AGE - 1), Code.TOO_OLD),
        (claims(without=("events",)), Code.MALFORMED_CLAIM),
        (claims(events={}), Code.MALFORMED_CLAIM),
        (claims(events=[REVOKED]), Code.MALFORMED_CLAIM),
        (claims(events={REVOKED: None}), Code.MALFORMED_CLAIM),
        (claims(events={f"{CAEP}{number}": {} for number in range(9)}), Code.MALFORMED_CLAIM),
        *((claims(payload={"event_timestamp": each}), Code.MALFORMED_CLAIM) for each in (-1, True, "1", [], 10**30)),
        (claims(toe="yesterday"), Code.MALFORMED_CLAIM),
    ],
)
def test_claims_that_do_not_fit_are_refused(body: Body, code: Code):
    assert refusal(tokens.token(body, head())) is code


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (tokens.token(claims(), head(), by="rsa-2"), Code.BAD_SIGNATURE),
        (tokens.token(claims(), head(kid="invented")), Code.UNKNOWN_KEY),
        (tokens.token(claims(), head(kid="rsa-other"), by="rsa-other"), Code.UNKNOWN_KEY),
        (tokens.token(claims(), head(alg="none")), Code.ALGORITHM_NOT_ALLOWED),
        (tokens.token(claims(), head(alg="HS256")), Code.ALGORITHM_NOT_ALLOWED),
        (tokens.token(claims(), head(jwk=tokens.public("rsa"))), Code.HEADER_NOT_ALLOWED),
        *((tokens.token(claims(), head(typ=typ)), Code.WRONG_TYPE) for typ in ("JWT", "at+jwt", "logout+jwt", "secevent")),
        (tokens.token(claims(), tokens.header(without=("typ",))), Code.WRONG_TYPE),
        (tokens.access_token(), Code.WRONG_TYPE),
        (tokens.id_token(), Code.WRONG_TYPE),
        ("", Code.MALFORMED_TOKEN),
        ("a.b", Code.MALFORMED_TOKEN),
        ("é.é.é", Code.MALFORMED_TOKEN),
        ("a" * 20_000, Code.TOKEN_TOO_LARGE),
    ],
)
def test_what_is_no_token_of_the_sender_is_refused(token: str, code: Code):
    assert refusal(token) is code


def test_a_provider_sends_signals_only_if_its_object_says_so():
    body = claims(iss=OTHER_ISSUER, sub_id={"format": "iss_sub", "iss": OTHER_ISSUER, "sub": "anna"})
    token = tokens.token(body, head(kid="rsa-other"), by="rsa-other")

    assert refusal(token) is Code.UNKNOWN_ISSUER


def test_a_security_event_token_proves_nobody():
    posing = tokens.claims(aud=[tokens.AUDIENCE, AUDIENCE], events={REVOKED: {}}, sub_id=ISS_SUB)
    untyped = replace(PROVIDER, accepts=frozenset({TokenType.UNTYPED_ACCESS_TOKEN}))
    for token, provider in (
        (tokens.token(posing, head()), PROVIDER),
        (tokens.token(posing, head()), untyped),
        (tokens.token(posing | {"scope": "openid"}, head(typ="JWT")), untyped),
    ):
        with pytest.raises(TokenRefused) as error:
            tokens.checked(token, providers=by_issuer((provider,)))
        assert error.value.code is Code.WRONG_TYPE


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (claims(), 0),
        (claims(payload={"event_timestamp": None}), 0),
        (claims(payload={"event_timestamp": MOMENT - 90}), -90),
        (claims(payload={"event_timestamp": MOMENT - 90.9}), -91),
        (claims(payload={"event_timestamp": (MOMENT - 90) * 1000}), -90),
        (claims(toe=MOMENT - 60), -60),
        (claims(payload={"event_timestamp": MOMENT - 90}, toe=MOMENT - 60), -90),
        (claims(payload={"event_timestamp": MOMENT + 10**6}), 0),
        (claims(payload={"event_timestamp": 10**13}), 0),
        (claims(iat=MOMENT + 20, payload={"event_timestamp": MOMENT + 25}), 20),
    ],
)
def test_an_event_happened_when_it_says_and_never_after_its_token(body: Body, seconds: int):
    assert read(body).at == datetime.fromtimestamp(MOMENT, UTC) + timedelta(seconds=seconds)


def test_a_token_is_old_after_a_week():
    assert read(claims(iat=MOMENT - AGE)).at == NOW - MAXIMUM_AGE


def test_events_of_one_token_are_read_one_by_one():
    token = tokens.token(claims(events={REVOKED: {}, f"{RISC}account-disabled": {}, "urn:x": {}}), head())
    found = verify_events(token, PROVIDERS, KNOWN, NOW)
    assert [(each.name, each.effect) for each in found.signals] == [
        ("session-revoked", SignalEffect.END_SESSIONS),
        ("account-disabled", SignalEffect.DISABLE),
        ("other", SignalEffect.NONE),
    ]


def test_the_page_shows_a_token_that_its_manifests_accept():
    """The two manifests, and the payload, with keys of the test."""
    text = (ROOT / "docs" / "how-to" / "shared-signals.md").read_text()
    blocks = {language: re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE) for language in ("yaml", "json")}
    resources = [parse(IdentityProvider, yaml.safe_load(block)) for block in blocks["yaml"]]
    providers = by_issuer(replace(provider_of(each), keys=PROVIDER.keys) for each in resources)
    keycloak, okta = providers.values()
    (payload,) = map(json.loads, blocks["json"])
    known = dict.fromkeys(providers, KNOWN[ISSUER])

    (signal,) = verify_events(tokens.token(payload, head()), providers, known, datetime.fromtimestamp(payload["iat"], UTC)).signals

    assert (signal.effect, signal.user) == (SignalEffect.END_SESSIONS, User(keycloak.issuer, "anna"))
    assert okta.signals is not None
    assert okta.signals.user_issuer.startswith(okta.issuer)
