"""The ID token of a login on rolevend's own page: for our client, of this login, and nothing else."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from rolevend.identity.claim_mapping import ClaimMapping, ClaimPath
from rolevend.identity.compact import MAXIMUM_LOGIN_LENGTH
from rolevend.identity.proven import LoginWanted, Party, ProvenLogin
from rolevend.identity.provider import Provider, TokenType
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.sealed import Seal
from rolevend.identity.verification import verify_login
from rolevend.model import User
from tests.support import tokens
from tests.support.tokens import ISSUER, KNOWN, MOMENT, NOW, OTHER_ISSUER, PROVIDER, PROVIDERS

CLIENT = "rolevend-page"
WANTED = LoginWanted(Party(ISSUER, CLIENT), "nonce-1")


def login(head: tokens.Body | None = None, without: tuple[str, ...] = (), **changed: Any) -> str:
    claims = {**tokens.id_claims(aud=CLIENT, nonce="nonce-1"), **changed}
    return tokens.token({name: value for name, value in claims.items() if name not in without}, head or tokens.header(typ="JWT"))


def verified(text: str, provider: Provider = PROVIDER) -> ProvenLogin:
    return verify_login(text, {**PROVIDERS, ISSUER: provider}, KNOWN, NOW, WANTED)


def test_it_proves_the_person_also_where_agents_may_present_no_id_tokens():
    provider = replace(PROVIDER, accepts=frozenset({TokenType.ACCESS_TOKEN}))

    found = verified(login(auth_time=MOMENT - 30, acr="mfa"), provider)

    assert found.user == User(ISSUER, "anna")
    assert (found.token.provider, found.token.acr) == ("workforce", "mfa")
    assert found.token.authenticated_at == NOW - timedelta(seconds=30)


def test_the_person_is_named_by_the_claim_that_names_users():
    provider = replace(PROVIDER, mapping=ClaimMapping(subject=ClaimPath(("oid",))))

    assert verified(login(oid="4711"), provider).user == User(ISSUER, "4711")


def test_a_person_may_be_in_five_hundred_groups():
    groups = [f"{number:03}-{'g' * 60}" for number in range(500)]
    wanted = replace(WANTED, claims=("groups",))
    assert verify_login(login(groups=groups), PROVIDERS, KNOWN, NOW, wanted).claims == {"groups": groups}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (login(aud="another-app"), Code.ISSUED_TO_ANOTHER),
        (login(aud=tokens.AUDIENCE), Code.ISSUED_TO_ANOTHER),
        (login(aud=[CLIENT, "another-app"]), Code.MISSING_CLAIM),
        (login(aud=[CLIENT, "another-app"], azp="another-app"), Code.ISSUED_TO_ANOTHER),
        (login(nonce="nonce-2"), Code.REPLAYED),
        (login(nonce="nönce"), Code.REPLAYED),
        (login(without=("nonce",)), Code.MISSING_CLAIM),
        (login(iss=OTHER_ISSUER), Code.UNKNOWN_ISSUER),
        (login(iss="https://nobody.example.org"), Code.UNKNOWN_ISSUER),
        (login(exp=MOMENT - 3600), Code.EXPIRED),
        (login(sub=CLIENT), Code.NOT_A_PERSONS),
        (login(act={"sub": "finbot"}), Code.WRONG_TYPE),
        (login(groups="x" * MAXIMUM_LOGIN_LENGTH), Code.TOKEN_TOO_LARGE),
        (login(tokens.header(typ="at+jwt")), Code.WRONG_TYPE),
        (login(tokens.header(typ="logout+jwt")), Code.WRONG_TYPE),
        (login(tokens.header(typ="JWT", kid="rsa-2")), Code.BAD_SIGNATURE),
        (tokens.token(tokens.agent_claims(), tokens.header()), Code.WRONG_TYPE),
    ],
)
def test_every_other_token_is_refused(text: str, code: Code):
    with pytest.raises(TokenRefused) as refused:
        verified(text)

    assert refused.value.code is code


class TestSeals:
    def seal(self, purpose: str = "form", key: bytes = b"key", at: datetime = NOW) -> Seal:
        return Seal(key, purpose, timedelta(minutes=10), lambda: at)

    def test_what_was_sealed_is_read_by_every_replica_until_its_time_is_over(self):
        text = self.seal().close(uid="1")

        assert self.seal(at=NOW + timedelta(seconds=599)).open(text) == {"uid": "1"}
        assert self.seal(at=NOW + timedelta(seconds=600)).open(text) is None

    @pytest.mark.parametrize("changes", [{"purpose": "session"}, {"key": b"other"}])
    def test_it_is_for_one_purpose_and_one_installation(self, changes: dict[str, Any]):
        assert self.seal(**changes).open(self.seal().close(uid="1")) is None

    def test_nothing_else_is_read(self):
        text = self.seal().close(uid="1")
        head, payload, signature = text.split(".")
        unsigned = tokens.encode(b'{"alg":"none"}')
        forged = (None, "", "x", "a.b.c", f"{head}.{payload}.", f"{unsigned}.{payload}.", f"{head}.{payload}x.{signature}", "x" * 5000)

        assert [self.seal().open(each) for each in forged] == [None] * len(forged)
        assert self.seal().open(tokens.access_token()) is None
