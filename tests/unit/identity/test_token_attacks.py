"""The matrix: tokens that prove nothing, each with the code that it is refused with. `test_tokens` says what the same builders prove."""

import base64
import hashlib
import hmac
import json
import zlib
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey

from rolevend.identity.compact import MAXIMUM_LENGTH
from rolevend.identity.key_set import KnownKeys, parse
from rolevend.identity.proven import AgentWanted, OwnSubject, Party, UserWanted, Wanting
from rolevend.identity.provider import Algorithm, TokenType
from rolevend.identity.refusal import Code, TokenRefused
from tests.support.tiers import by_tier
from tests.support.tokens import (
    AGENT,
    AS_AGENT,
    AUDIENCE,
    CLUSTER,
    EVERYTHING,
    FOR_AGENT,
    ISSUER,
    KNOWN,
    MOMENT,
    OTHER_ISSUER,
    PROVIDER,
    PROVIDERS,
    UID,
    access_token,
    after,
    agent_claims,
    agent_token,
    checked,
    claims,
    encode,
    exchanged,
    header,
    id_claims,
    id_token,
    key,
    key_set,
    known,
    public,
    service_account_claims,
    service_account_token,
    token,
    written,
)

GOOD = access_token()
GOOD_ES256 = access_token(by="p256", algorithm="ES256")
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256."""


def refused(text: str, wanting: Wanting = FOR_AGENT, **given: Any) -> Code | None:
    """None for a token that is taken. No refusal says anything of the token."""
    try:
        checked(text, wanting, **given)
    except TokenRefused as refusal:
        said = str(refusal)
        assert "\n" not in said
        assert not any(len(segment) > 16 and segment in said for segment in text.split("."))
        assert not any(secret in said for secret in ("anna", "finbot", "portal", ISSUER))
        return refusal.code
    return None


def unsigned(algorithm: str, signature: str = "") -> str:
    return f"{written(header(alg=algorithm))}.{written(claims())}.{signature}"


def by_secret(secret: bytes, digest: Any = hashlib.sha256, algorithm: str = "HS256") -> str:
    signed = f"{written(header(alg=algorithm))}.{written(claims())}"
    return f"{signed}.{encode(hmac.new(secret, signed.encode(), digest).digest())}"


def signature_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.rpartition(".")[2] + "==")


def resigned(text: str, signature: bytes) -> str:
    return f"{text.rpartition('.')[0]}.{encode(signature)}"


def of_p256(text: str) -> tuple[int, int]:
    raw = signature_of(text)
    return int.from_bytes(raw[:32]), int.from_bytes(raw[32:])


def with_header(**changed: Any) -> str:
    return token(head=header(**changed))


def raw_header(text: str) -> str:
    return token(head=text.encode())


def raw_claims(**raw: str) -> str:
    """Claims of the access token, some of them written as they stand."""
    body = claims(without=tuple(raw))
    return token((json.dumps(body)[:-1] + "".join(f',"{name}":{value}' for name, value in raw.items()) + "}").encode())


def without_end(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "exp"}


def mine(name: str) -> dict[str, Any]:
    """A key of the attacker's own, as a header may bring it along."""
    return public(f"{name}-mine")


NOT_A_TOKEN = {
    "nothing": ("", Code.MALFORMED_TOKEN),
    "one segment": ("token", Code.MALFORMED_TOKEN),
    "two segments": (GOOD.rpartition(".")[0], Code.MALFORMED_TOKEN),
    "four segments": (f"{GOOD}.x", Code.MALFORMED_TOKEN),
    "three empty segments": ("..", Code.MALFORMED_TOKEN),
    "encrypted": (f"{written({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d", Code.ENCRYPTED_TOKEN),
    "encrypted, compressed": (f"{written({'alg': 'dir', 'enc': 'A256GCM', 'zip': 'DEF'})}..b.c.d", Code.ENCRYPTED_TOKEN),
    "JSON serialization": (json.dumps({"payload": written(claims()), "signatures": []}), Code.MALFORMED_TOKEN),
    "oversized": (access_token(padding="x" * MAXIMUM_LENGTH), Code.TOKEN_TOO_LARGE),
    "oversized, and no token": ("." * (MAXIMUM_LENGTH + 1), Code.TOKEN_TOO_LARGE),
    "padded": (f"{GOOD}==", Code.MALFORMED_TOKEN),
    "padded header": (f"{written(header())}=.{GOOD.partition('.')[2]}", Code.MALFORMED_TOKEN),
    "space before": (f" {GOOD}", Code.MALFORMED_TOKEN),
    "line end after": (f"{GOOD}\n", Code.MALFORMED_TOKEN),
    "line end within": (f"{GOOD[:40]}\n{GOOD[40:]}", Code.MALFORMED_TOKEN),
    "tab within": (f"{GOOD[:40]}\t{GOOD[40:]}", Code.MALFORMED_TOKEN),
    "NUL after": (f"{GOOD}\0", Code.MALFORMED_TOKEN),
    "scheme before": (f"Bearer {GOOD}", Code.MALFORMED_TOKEN),
    "full-width letters": (GOOD.replace("e", "\uff45", 1), Code.MALFORMED_TOKEN),
    "standard base64": (resigned(GOOD, b"")[:-1] + "." + base64.b64encode(b"\xfb\xff" * 128).decode(), Code.MALFORMED_TOKEN),
    "another spelling of the last bits": (f"{GOOD_ES256[:-1]}{chr(ord(GOOD_ES256[-1]) + 1)}", Code.MALFORMED_TOKEN),
    "length that no bytes have": (f"{GOOD}AAA", Code.MALFORMED_TOKEN),
    "header no JSON": (raw_header("alg=RS256"), Code.MALFORMED_TOKEN),
    "header a list": (raw_header('["alg","RS256"]'), Code.MALFORMED_TOKEN),
    "header null": (raw_header("null"), Code.MALFORMED_TOKEN),
    "header with a byte order mark": (token(head=b"\xef\xbb\xbf" + json.dumps(header()).encode()), Code.MALFORMED_TOKEN),
    "header in UTF-16": (token(head=json.dumps(header()).encode("utf-16")), Code.MALFORMED_TOKEN),
    "header in Latin-1": (token(head='{"alg":"RS256","kid":"é"}'.encode("latin-1")), Code.MALFORMED_TOKEN),
    "payload a text": (token(b'"anna"'), Code.MALFORMED_TOKEN),
    "payload a token": (token(GOOD.encode()), Code.MALFORMED_TOKEN),
    "payload compressed": (token(zlib.compress(json.dumps(claims()).encode())), Code.MALFORMED_TOKEN),
    "payload with two objects": (token(json.dumps(claims()).encode() + b"{}"), Code.MALFORMED_TOKEN),
    "payload nested very deep": (token(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"), Code.MALFORMED_TOKEN),
    "payload deep behind a text of brackets": (token(b'{"a":"]]]]","b":' + b"[" * 40 + b"]" * 40 + b"}"), Code.MALFORMED_TOKEN),
    "payload with a number of 5000 digits": (raw_claims(a="9" * 5000), Code.MALFORMED_TOKEN),
    "payload with NaN": (raw_claims(a="NaN"), Code.MALFORMED_TOKEN),
    "payload with a line end in a text": (raw_claims(a='"\n"'), Code.MALFORMED_TOKEN),
}
AMBIGUOUS = {
    "alg twice": (raw_header('{"typ":"at+jwt","kid":"rsa","alg":"none","alg":"RS256"}'), Code.DUPLICATE_MEMBER),
    "kid twice": (raw_header('{"typ":"at+jwt","kid":"x","kid":"rsa","alg":"RS256"}'), Code.DUPLICATE_MEMBER),
    "sub twice": (token(json.dumps(claims())[:-1].encode() + b',"sub":"boris"}'), Code.DUPLICATE_MEMBER),
    "sub twice, once with an escape": (token(json.dumps(claims())[:-1].encode() + b',"\\u0073ub":"boris"}'), Code.DUPLICATE_MEMBER),
    "twice within act": (raw_claims(act='{"sub":"portal","sub":"finbot"}'), Code.DUPLICATE_MEMBER),
    "iss twice": (token(json.dumps(claims())[:-1].encode() + b',"iss":"https://other.example.org"}'), Code.DUPLICATE_MEMBER),
}
ALGORITHMS = {
    **{f"alg {name}": (unsigned(name), Code.ALGORITHM_NOT_ALLOWED) for name in ("none", "None", "NoNe", "nONE", "NONE", "", "none ")},
    "alg none with the old signature": (unsigned("none", GOOD.rpartition(".")[2]), Code.ALGORITHM_NOT_ALLOWED),
    "HS256 with the public key in PEM": (by_secret(key("rsa").as_pem(private=False)), Code.ALGORITHM_NOT_ALLOWED),
    "HS256 with the public key in DER": (by_secret(key("rsa").as_der(private=False)), Code.ALGORITHM_NOT_ALLOWED),
    "HS256 with the public key's modulus": (by_secret(str(public("rsa")["n"]).encode()), Code.ALGORITHM_NOT_ALLOWED),
    "HS384": (by_secret(b"", hashlib.sha384, "HS384"), Code.ALGORITHM_NOT_ALLOWED),
    "HS512": (by_secret(b"", hashlib.sha512, "HS512"), Code.ALGORITHM_NOT_ALLOWED),
    "HMAC under the name of RS256": (by_secret(key("rsa").as_pem(private=False), algorithm="RS256"), Code.BAD_SIGNATURE),
    "no alg": (token(head=header(without=("alg",))), Code.ALGORITHM_NOT_ALLOWED),
    "alg a number": (with_header(alg=256), Code.MALFORMED_TOKEN),
    "alg a list": (with_header(alg=["RS256"]), Code.MALFORMED_TOKEN),
    "alg null": (with_header(alg=None), Code.MALFORMED_TOKEN),
    "alg in lower case": (with_header(alg="rs256"), Code.ALGORITHM_NOT_ALLOWED),
    "alg of encryption": (with_header(alg="RSA-OAEP"), Code.ALGORITHM_NOT_ALLOWED),
    "alg ES256K": (with_header(alg="ES256K"), Code.ALGORITHM_NOT_ALLOWED),
    "alg another than the one that signed": (with_header(alg="RS512"), Code.BAD_SIGNATURE),
    "alg PS256 over RS256": (with_header(alg="PS256"), Code.BAD_SIGNATURE),
    "ES256 with an RSA key": (with_header(alg="ES256"), Code.KEY_MISMATCH),
    "EdDSA with an RSA key": (with_header(alg="EdDSA"), Code.KEY_MISMATCH),
    "RS256 with an EC key": (with_header(kid="p256"), Code.KEY_MISMATCH),
    "RS256 with an Ed25519 key": (with_header(kid="ed25519"), Code.KEY_MISMATCH),
    "ES256 with a key of P-384": (with_header(alg="ES256", kid="p384"), Code.KEY_MISMATCH),
    "ES512 with a key of P-256": (with_header(alg="ES512", kid="p256"), Code.KEY_MISMATCH),
}
KEY_NAMES = {
    "no kid where several keys fit": (token(head=header(without=("kid",))), Code.AMBIGUOUS_KEY),
    "unknown kid": (with_header(kid="rsa-99"), Code.UNKNOWN_KEY),
    "kid empty": (with_header(kid=""), Code.UNKNOWN_KEY),
    "kid in upper case": (with_header(kid="RSA"), Code.UNKNOWN_KEY),
    "kid a path": (with_header(kid="../../../../../../dev/null"), Code.UNKNOWN_KEY),
    "kid a path to what everybody knows": (with_header(kid="/proc/sys/kernel/randomize_va_space"), Code.UNKNOWN_KEY),
    "kid SQL": (with_header(kid="x' UNION SELECT 'secret' --"), Code.UNKNOWN_KEY),
    "kid a command": (with_header(kid="rsa|/usr/bin/id"), Code.UNKNOWN_KEY),
    "kid a URL": (with_header(kid="https://attacker.example.org/keys"), Code.UNKNOWN_KEY),
    "kid with NUL": (with_header(kid="rsa\0"), Code.UNKNOWN_KEY),
    "kid huge": (with_header(kid="x" * 10_000), Code.MALFORMED_TOKEN),
    "kid null": (with_header(kid=None), Code.MALFORMED_TOKEN),
    "kid a number": (with_header(kid=1), Code.MALFORMED_TOKEN),
    "kid an object": (with_header(kid={"kid": "rsa"}), Code.MALFORMED_TOKEN),
    "kid of another key of the issuer": (with_header(kid="rsa-2"), Code.BAD_SIGNATURE),
    "signed by a key of nobody's": (token(by="rsa-mine"), Code.BAD_SIGNATURE),
}
HEADERS = {
    "a key brought along": (token(head=header(jwk=mine("rsa")), by="rsa-mine"), Code.HEADER_NOT_ALLOWED),
    "a key brought along, and no kid": (token(head=header(("kid",), jwk=mine("rsa")), by="rsa-mine"), Code.HEADER_NOT_ALLOWED),
    "keys elsewhere": (token(head=header(jku="https://attacker.example.org/keys"), by="rsa-mine"), Code.HEADER_NOT_ALLOWED),
    "keys elsewhere, at the issuer's": (with_header(jku=f"{ISSUER}/keys"), Code.HEADER_NOT_ALLOWED),
    "a certificate elsewhere": (token(head=header(x5u="https://attacker.example.org/cert"), by="rsa-mine"), Code.HEADER_NOT_ALLOWED),
    "a certificate brought along": (token(head=header(x5c=["MIIB"]), by="rsa-mine"), Code.HEADER_NOT_ALLOWED),
    "crit": (with_header(crit=["exp"]), Code.HEADER_NOT_ALLOWED),
    "crit empty": (with_header(crit=[]), Code.HEADER_NOT_ALLOWED),
    "crit of an extension": (with_header(crit=["https://x"], **{"https://x": 1}), Code.HEADER_NOT_ALLOWED),
    "b64 false": (with_header(b64=False, crit=["b64"]), Code.HEADER_NOT_ALLOWED),
    "b64 false without crit": (with_header(b64=False), Code.HEADER_NOT_ALLOWED),
    "b64 true": (with_header(b64=True), Code.HEADER_NOT_ALLOWED),
    "zip": (token(zlib.compress(b"{}"), header(zip="DEF")), Code.HEADER_NOT_ALLOWED),
    "enc": (with_header(enc="A256GCM"), Code.HEADER_NOT_ALLOWED),
    "a token within the token": (token(GOOD.encode(), header(cty="JWT")), Code.HEADER_NOT_ALLOWED),
}
SIGNATURES = {
    "signature stripped": (resigned(GOOD, b""), Code.BAD_SIGNATURE),
    "signature of zeros": (resigned(GOOD, bytes(256)), Code.BAD_SIGNATURE),
    "signature cut short": (resigned(GOOD, signature_of(GOOD)[:-1]), Code.BAD_SIGNATURE),
    "signature with a byte more": (resigned(GOOD, signature_of(GOOD) + b"\0"), Code.BAD_SIGNATURE),
    "signature with a zero before": (resigned(GOOD, b"\0" + signature_of(GOOD)), Code.BAD_SIGNATURE),
    "signature of another token": (resigned(GOOD, signature_of(access_token(sub="boris"))), Code.BAD_SIGNATURE),
    "ES256 in DER": (resigned(GOOD_ES256, encode_dss_signature(*of_p256(GOOD_ES256))), Code.BAD_SIGNATURE),
    "ES256 with r = s = 0": (resigned(GOOD_ES256, bytes(64)), Code.BAD_SIGNATURE),
    "ES256 with r = 0": (resigned(GOOD_ES256, bytes(32) + signature_of(GOOD_ES256)[32:]), Code.BAD_SIGNATURE),
    "ES256 with s = 0": (resigned(GOOD_ES256, signature_of(GOOD_ES256)[:32] + bytes(32)), Code.BAD_SIGNATURE),
    "ES256 with r = s = n": (resigned(GOOD_ES256, ORDER.to_bytes(32) * 2), Code.BAD_SIGNATURE),
    "ES256 cut short": (resigned(GOOD_ES256, signature_of(GOOD_ES256)[:63]), Code.BAD_SIGNATURE),
    "EdDSA of zeros": (resigned(access_token(by="ed25519", algorithm="EdDSA"), bytes(64)), Code.BAD_SIGNATURE),
    "claims of another token": (
        ".".join((GOOD.split(".")[0], written(claims(sub="boris")), GOOD.split(".")[2])),
        Code.BAD_SIGNATURE,
    ),
}
ISSUERS = {
    "unknown issuer": (access_token(iss="https://attacker.example.org"), Code.UNKNOWN_ISSUER),
    "no issuer": (token(claims(("iss",))), Code.MISSING_CLAIM),
    "trailing slash": (access_token(iss=f"{ISSUER}/"), Code.UNKNOWN_ISSUER),
    "upper case": (access_token(iss=ISSUER.upper()), Code.UNKNOWN_ISSUER),
    "default port": (access_token(iss=f"{ISSUER}:443"), Code.UNKNOWN_ISSUER),
    "look-alike letters": (access_token(iss=ISSUER.replace("a", "\u0430")), Code.UNKNOWN_ISSUER),
    "full-width letters in the issuer": (access_token(iss=ISSUER.replace("i", "\uff49")), Code.UNKNOWN_ISSUER),
    "composed in another way": (access_token(iss=ISSUER + "\u0301"), Code.UNKNOWN_ISSUER),
    "zero-width space": (access_token(iss=ISSUER + "\u200b"), Code.MALFORMED_CLAIM),
    "space after": (access_token(iss=f"{ISSUER} "), Code.MALFORMED_CLAIM),
    "a list of issuers": (access_token(iss=[ISSUER]), Code.MALFORMED_CLAIM),
    "an object as issuer": (access_token(iss={"iss": ISSUER}), Code.MALFORMED_CLAIM),
    "null as issuer": (access_token(iss=None), Code.MALFORMED_CLAIM),
    "issuer too long": (access_token(iss="https://" + "x" * 600), Code.MALFORMED_CLAIM),
    "another issuer's name with this one's key": (token(claims(iss=OTHER_ISSUER), header(kid="rsa")), Code.UNKNOWN_KEY),
    "this issuer's name with another one's key": (token(claims(), header(kid="rsa-other"), by="rsa-other"), Code.UNKNOWN_KEY),
    "another one's key under this one's kid": (token(claims(), header(), by="rsa-other"), Code.BAD_SIGNATURE),
    "the cluster's name with a provider's key": (token(service_account_claims(), header(("typ",))), Code.UNKNOWN_KEY),
}
TIMES = {
    "expired": (access_token(exp=MOMENT - 31), Code.EXPIRED),
    "expired for years": (access_token(exp=1), Code.EXPIRED),
    "exp 0": (access_token(exp=0), Code.EXPIRED),
    "no exp": (token(claims(("exp",))), Code.MISSING_CLAIM),
    "exp null": (access_token(exp=None), Code.MALFORMED_CLAIM),
    "exp a text": (access_token(exp=str(MOMENT + 600)), Code.MALFORMED_CLAIM),
    "exp true": (access_token(exp=True), Code.MALFORMED_CLAIM),
    "exp a list": (access_token(exp=[MOMENT + 600]), Code.MALFORMED_CLAIM),
    "exp with a fraction": (access_token(exp=MOMENT + 600.5), Code.MALFORMED_CLAIM),
    "exp with an exponent": (raw_claims(exp="2e9"), Code.MALFORMED_CLAIM),
    "exp Infinity": (raw_claims(exp="Infinity"), Code.MALFORMED_TOKEN),
    "exp NaN": (raw_claims(exp="NaN"), Code.MALFORMED_TOKEN),
    "exp beyond every float": (raw_claims(exp="1e999"), Code.MALFORMED_TOKEN),
    "exp beyond every calendar": (access_token(exp=10**20), Code.MALFORMED_CLAIM),
    "exp in milliseconds": (access_token(exp=(MOMENT + 600) * 1000), Code.MALFORMED_CLAIM),
    "exp negative": (access_token(exp=-1), Code.MALFORMED_CLAIM),
    "nbf in the future": (access_token(nbf=MOMENT + 60), Code.NOT_YET_VALID),
    "nbf a text": (access_token(nbf="0"), Code.MALFORMED_CLAIM),
    "nbf false": (access_token(nbf=False), Code.MALFORMED_CLAIM),
    "iat in the future": (access_token(iat=MOMENT + 60), Code.ISSUED_IN_THE_FUTURE),
    "iat a text": (access_token(iat="yesterday"), Code.MALFORMED_CLAIM),
    "iat null": (access_token(iat=None), Code.MALFORMED_CLAIM),
}
WHO = {
    "sub a number": (access_token(sub=7), Code.MALFORMED_CLAIM),
    "sub empty": (access_token(sub=""), Code.MALFORMED_CLAIM),
    "sub null": (access_token(sub=None), Code.MALFORMED_CLAIM),
    "sub a list": (access_token(sub=["anna"]), Code.MALFORMED_CLAIM),
    "no sub": (token(claims(("sub",))), Code.MISSING_CLAIM),
    "sub with a line end": (access_token(sub="anna\nboris"), Code.MALFORMED_CLAIM),
    "sub with NUL": (access_token(sub="anna\0"), Code.MALFORMED_CLAIM),
    "sub turned round": (access_token(sub="\u202eanna"), Code.MALFORMED_CLAIM),
    "sub of half a letter": (raw_claims(sub='"\\ud800"'), Code.MALFORMED_CLAIM),
    "sub with a space after": (access_token(sub="anna "), Code.MALFORMED_CLAIM),
    "sub too long": (access_token(sub="a" * 256), Code.MALFORMED_CLAIM),
    "jti a number": (access_token(jti=1), Code.MALFORMED_CLAIM),
    "jti too long": (access_token(jti="x" * 256), Code.MALFORMED_CLAIM),
    "another audience": (access_token(aud="https://elsewhere.example.org"), Code.WRONG_AUDIENCE),
    "no audience": (token(claims(("aud",))), Code.MISSING_CLAIM),
    "our audience and a slash": (access_token(aud=f"{AUDIENCE}/"), Code.WRONG_AUDIENCE),
    "the beginning of our audience": (access_token(aud=AUDIENCE[:-1]), Code.WRONG_AUDIENCE),
    "audience empty": (access_token(aud=""), Code.MALFORMED_CLAIM),
    "audiences none": (access_token(aud=[]), Code.MALFORMED_CLAIM),
    "audiences with a number": (access_token(aud=[AUDIENCE, 7]), Code.MALFORMED_CLAIM),
    "audiences within audiences": (access_token(aud=[[AUDIENCE]]), Code.MALFORMED_CLAIM),
    "audience an object": (access_token(aud={AUDIENCE: True}), Code.MALFORMED_CLAIM),
    "audiences very many": (access_token(aud=[AUDIENCE, *(f"https://{number}" for number in range(64))]), Code.MALFORMED_CLAIM),
}
TYPES = {
    **{
        f"typ {name}": (with_header(typ=name), Code.WRONG_TYPE)
        for name in ("oauth-id-jag+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", "application/at+jwt; x=y", "at +jwt", "")
    },
    "typ a number": (with_header(typ=1), Code.MALFORMED_TOKEN),
    "an access token under the type of ID tokens": (token(head=header(typ="JWT")), Code.ISSUED_TO_ANOTHER),
    "an access token without a type": (token(head=header(without=("typ",))), Code.ISSUED_TO_ANOTHER),
    "an ID token under the type of access tokens": (token(id_claims()), Code.WRONG_AUDIENCE),
    "a ServiceAccount's token for a person": (service_account_token(), Code.TYPE_NOT_ACCEPTED),
    "a ServiceAccount's claims of a provider": (
        token(service_account_claims(iss=ISSUER), header(typ="JWT")),
        Code.TYPE_NOT_ACCEPTED,
    ),
}
DELEGATIONS = {
    "client_id of another agent": (access_token(client_id="portal"), Code.ISSUED_TO_ANOTHER),
    "azp of another agent": (token(claims(("client_id",), azp="portal")), Code.ISSUED_TO_ANOTHER),
    "client_id ours, azp another agent's": (access_token(azp="portal"), Code.ISSUED_TO_ANOTHER),
    "azp ours, client_id another agent's": (access_token(azp="finbot", client_id="portal"), Code.ISSUED_TO_ANOTHER),
    "no client": (token(claims(("client_id",))), Code.MISSING_CLAIM),
    "client_id a list": (access_token(client_id=["finbot"]), Code.MALFORMED_CLAIM),
    "client_id in upper case": (access_token(client_id="FINBOT"), Code.ISSUED_TO_ANOTHER),
    "the same client id of another issuer": (
        token(claims(iss=OTHER_ISSUER), header(kid="rsa-other"), by="rsa-other"),
        Code.ISSUED_TO_ANOTHER,
    ),
    "act of another agent": (exchanged({"iss": ISSUER, "sub": "portal"}), Code.ACTOR_IS_ANOTHER),
    "act of another agent, client_id ours": (exchanged({"sub": "portal"}, client_id="finbot"), Code.ACTOR_IS_ANOTHER),
    "act of the same name with another issuer": (exchanged({"iss": OTHER_ISSUER, "sub": "finbot"}), Code.ACTOR_IS_ANOTHER),
    "act whose earlier actor is the agent": (exchanged({"sub": "portal", "act": {"sub": "finbot"}}), Code.ACTOR_IS_ANOTHER),
    "act empty": (exchanged({}), Code.MISSING_CLAIM),
    "act null": (exchanged(None), Code.MALFORMED_CLAIM),
    "act a text": (exchanged("finbot"), Code.MALFORMED_CLAIM),
    "act a list": (exchanged([{"sub": "finbot"}]), Code.MALFORMED_CLAIM),
    "act whose sub is a number": (exchanged({"sub": 7}), Code.MALFORMED_CLAIM),
    "act whose iss is null": (exchanged({"sub": "finbot", "iss": None}), Code.MALFORMED_CLAIM),
    "act within act no object": (exchanged({"sub": "finbot", "act": 1}), Code.MALFORMED_CLAIM),
    "act too deep": (
        exchanged({"sub": "finbot", "act": {"sub": "a", "act": {"sub": "b", "act": {"sub": "c", "act": {"sub": "d"}}}}}),
        Code.ACTOR_CHAIN_TOO_LONG,
    ),
    "the agent's own token": (agent_token(), Code.NOT_A_PERSONS),
    "the agent for itself by exchange": (exchanged({"sub": "finbot"}, sub="finbot"), Code.NOT_A_PERSONS),
    "ID token of another client": (id_token(aud="portal"), Code.ISSUED_TO_ANOTHER),
    "ID token whose azp is another client": (id_token(azp="portal"), Code.ISSUED_TO_ANOTHER),
    "ID token for several clients, without azp": (id_token(aud=["finbot", "portal"]), Code.MISSING_CLAIM),
    "ID token for us, and for no client of the agent's": (id_token(aud=AUDIENCE), Code.ISSUED_TO_ANOTHER),
}
ATTACKS = NOT_A_TOKEN | AMBIGUOUS | ALGORITHMS | KEY_NAMES | HEADERS | SIGNATURES | ISSUERS | TIMES | WHO | TYPES | DELEGATIONS


def test_the_tables_hold_each_attack_once():
    tables = (NOT_A_TOKEN, AMBIGUOUS, ALGORITHMS, KEY_NAMES, HEADERS, SIGNATURES, ISSUERS, TIMES, WHO, TYPES, DELEGATIONS)

    assert len(ATTACKS) == sum(len(table) for table in tables) >= 50


@pytest.mark.parametrize(("text", "code"), ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_refused_with_its_code(text: str, code: Code):
    assert refused(text) is code


AS_AN_AGENT = {
    "a person's token that the agent's client got": (access_token(), Code.NOT_AN_AGENTS_OWN),
    "a token of a client under another's registered subject": (token(agent_claims(client_id="portal", sub="7f1c")), Code.NOT_AN_AGENTS_OWN),
    "no client_id": (token(claims(("client_id",), sub="finbot")), Code.MISSING_CLAIM),
    "azp instead of client_id": (token(claims(("client_id",), sub="finbot", azp="finbot")), Code.MISSING_CLAIM),
    "an exchanged token": (exchanged({"sub": "finbot"}), Code.TYPE_NOT_ACCEPTED),
    "an ID token": (id_token(), Code.TYPE_NOT_ACCEPTED),
    "for another audience": (agent_token(aud="https://elsewhere.example.org"), Code.WRONG_AUDIENCE),
    "a ServiceAccount's for the API server": (service_account_token(aud=[CLUSTER]), Code.WRONG_AUDIENCE),
    "a ServiceAccount's of another cluster": (
        service_account_token(iss="https://kubernetes.default.svc.other.local"),
        Code.UNKNOWN_ISSUER,
    ),
    "a ServiceAccount's of another cluster of the same name": (
        token(service_account_claims(), header(("typ",), kid="rsa-cluster"), by="rsa-cluster2"),
        Code.BAD_SIGNATURE,
    ),
    "a ServiceAccount's that never ends": (
        token(without_end(service_account_claims()), header(("typ",), kid="rsa-cluster"), by="rsa-cluster"),
        Code.MISSING_CLAIM,
    ),
    "a ServiceAccount's whose sub is another": (service_account_token(sub="system:serviceaccount:agents:portal"), Code.MALFORMED_CLAIM),
    "a ServiceAccount's whose sub is a user": (service_account_token(sub="system:admin"), Code.MALFORMED_CLAIM),
    "a ServiceAccount's claims without an account": (
        service_account_token(**{"kubernetes.io": {"namespace": "agents"}}),
        Code.MALFORMED_CLAIM,
    ),
    "a ServiceAccount's claims that are a text": (service_account_token(**{"kubernetes.io": "agents"}), Code.MALFORMED_CLAIM),
    "a ServiceAccount with a colon in its name": (
        service_account_token(
            **{"kubernetes.io": {"namespace": "agents:x", "serviceaccount": {"name": "finbot", "uid": UID}}},
            sub="system:serviceaccount:agents:x:finbot",
        ),
        Code.MALFORMED_CLAIM,
    ),
    "a ServiceAccount without a uid": (
        service_account_token(**{"kubernetes.io": {"namespace": "agents", "serviceaccount": {"name": "finbot"}}}),
        Code.MALFORMED_CLAIM,
    ),
    "a ServiceAccount's pod without a uid": (
        service_account_token(
            **{"kubernetes.io": {"namespace": "agents", "serviceaccount": {"name": "finbot", "uid": UID}, "pod": {"name": "finbot-1"}}}
        ),
        Code.MALFORMED_CLAIM,
    ),
    "a ServiceAccount's under the type of access tokens": (
        token(service_account_claims(), header(kid="rsa-cluster"), by="rsa-cluster"),
        Code.TYPE_NOT_ACCEPTED,
    ),
}


@pytest.mark.parametrize(("text", "code"), AS_AN_AGENT.values(), ids=AS_AN_AGENT.keys())
def test_whoever_is_no_agent_is_refused_as_one(text: str, code: Code):
    assert refused(text, AgentWanted(frozenset({OwnSubject(AGENT, "7f1c")}))) is code


# Who may act, and what a provider gives leave to


def test_a_persons_token_is_of_no_use_to_another_agent():
    other = UserWanted(Party(ISSUER, "portal"), frozenset({Party(ISSUER, "portal")}))

    assert refused(access_token(), other) is Code.ISSUED_TO_ANOTHER
    assert refused(exchanged({"sub": "finbot"}), other) is Code.ACTOR_IS_ANOTHER
    assert refused(id_token(), other) is Code.ISSUED_TO_ANOTHER


def test_an_agent_without_clients_takes_exchanged_tokens_alone():
    nobody = UserWanted(AGENT)

    assert refused(access_token(), nobody) is Code.ISSUED_TO_ANOTHER
    assert refused(id_token(), nobody) is Code.ISSUED_TO_ANOTHER
    assert refused(exchanged({"sub": "finbot"}), nobody) is None


@pytest.mark.parametrize("text", [access_token(), id_token()])
def test_where_an_exchange_is_asked_for_nothing_else_will_do(text: str):
    assert refused(text, replace(FOR_AGENT, exchange_required=True)) is Code.ACTOR_MISSING


@pytest.mark.parametrize(
    ("text", "kind", "wanting"),
    [
        (access_token(), TokenType.ACCESS_TOKEN, FOR_AGENT),
        (exchanged({"sub": "finbot"}), TokenType.EXCHANGED, FOR_AGENT),
        (id_token(), TokenType.ID_TOKEN, FOR_AGENT),
        (agent_token(), TokenType.ACCESS_TOKEN, AS_AGENT),
    ],
)
def test_a_type_that_a_provider_does_not_give_leave_to_is_refused(text: str, kind: TokenType, wanting: Wanting):
    without = {**PROVIDERS, ISSUER: replace(PROVIDER, accepts=EVERYTHING - {kind})}

    assert refused(text, wanting) is None
    assert refused(text, wanting, providers=without) is Code.TYPE_NOT_ACCEPTED


def test_a_provider_may_use_its_own_algorithms_alone():
    only = {**PROVIDERS, ISSUER: replace(PROVIDER, algorithms=frozenset({Algorithm.ES256}))}

    assert refused(GOOD, providers=only) is Code.ALGORITHM_NOT_ALLOWED
    assert refused(GOOD_ES256, providers=only) is None


def test_a_cluster_that_is_not_configured_is_nobody():
    assert refused(service_account_token(), AS_AGENT, providers={ISSUER: PROVIDER}) is Code.UNKNOWN_ISSUER


# Keys


def test_a_key_of_1024_bits_is_no_key():
    with pytest.warns(UserWarning, match="2048"):
        weak = RSAKey.generate_key(1024)
    small = key_set({**weak.as_dict(private=False), "kid": "rsa"}, public("p256"))

    assert refused(GOOD, keys=known(issuer=small)) is Code.UNKNOWN_KEY


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"alg": "RS512"}, Code.KEY_MISMATCH),
        ({"use": "enc"}, Code.UNKNOWN_KEY),
        ({"key_ops": ["sign"]}, Code.UNKNOWN_KEY),
        ({"alg": "RS256", "use": "sig", "key_ops": ["verify"]}, None),
    ],
)
def test_a_key_is_used_for_nothing_but_what_its_issuer_says(members: dict[str, Any], code: Code | None):
    assert refused(GOOD, keys=known(issuer=key_set(public("rsa", **members), public("p256")))) is code


def test_two_keys_of_one_name_are_neither():
    twice = key_set(public("rsa"), public("rsa-2", kid="rsa"))

    assert refused(GOOD, keys=known(issuer=twice)) is Code.AMBIGUOUS_KEY


def test_keys_that_could_not_be_read_for_too_long_prove_nothing_any_more():
    bounded = {**PROVIDERS, ISSUER: replace(PROVIDER, keys_maximum_age=timedelta(hours=1))}
    keys = known(read_at=after(-3600))

    assert refused(GOOD, providers=bounded, keys=keys) is None
    assert refused(access_token(exp=MOMENT + 7200), providers=bounded, keys=keys, now=after(1)) is Code.STALE_KEYS


def test_keys_that_were_never_read_prove_nothing():
    assert refused(GOOD, keys={}) is Code.STALE_KEYS


def test_the_keys_of_one_issuer_are_nothing_to_another():
    swapped = {**KNOWN, ISSUER: KNOWN[OTHER_ISSUER]}

    assert refused(GOOD, keys=swapped) is Code.UNKNOWN_KEY


# Mutations


def test_the_other_spelling_of_an_ecdsa_signature_is_the_same_token():
    """(r, n - s) is valid where (r, s) is. Whoever remembers tokens by their digest is not led astray."""
    r, s = of_p256(GOOD_ES256)
    twin = resigned(GOOD_ES256, r.to_bytes(32) + (ORDER - s).to_bytes(32))

    assert twin != GOOD_ES256
    assert checked(twin).token.digest == checked(GOOD_ES256).token.digest


@pytest.mark.parametrize("text", [GOOD, GOOD_ES256, access_token(by="ed25519", algorithm="EdDSA")], ids=["RS256", "ES256", "EdDSA"])
def test_a_token_with_any_bit_changed_is_refused(text: str):
    @settings(max_examples=by_tier(75, 300), deadline=None)
    @given(st.integers(0, len(text) - 1), st.integers(0, 6))
    def changed(place: int, bit: int) -> None:
        assert refused(text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]) is not None

    changed()


@settings(max_examples=by_tier(75, 300), deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.text(max_size=8))
def test_a_token_with_any_part_replaced_is_refused(begin: int, end: int, by: str):
    text = GOOD[:begin] + by + GOOD[end:]

    assert (refused(text) is None) == (text == GOOD)


@settings(max_examples=by_tier(75, 300), deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=64))
def test_any_bytes_are_refused_and_nothing_else_goes_wrong(head: bytes, payload: bytes, signature: bytes):
    assert refused(f"{encode(head)}.{encode(payload)}.{encode(signature)}") is not None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["act", "sub", "iss", "a"]), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from([*claims(), "azp", "act", "nbf", "kubernetes.io"])


@settings(max_examples=by_tier(75, 300), deadline=None)
@given(st.dictionaries(NAMES, JSON, max_size=3), st.booleans())
def test_signed_claims_of_any_shape_are_read_or_refused(said: dict[str, Any], as_agent: bool):
    with suppress(TokenRefused):
        checked(access_token(**said), AS_AGENT if as_agent else FOR_AGENT)


@given(JSON)
@settings(max_examples=by_tier(50, 200), deadline=None)
def test_a_key_set_of_any_shape_is_read_or_refused(member: Any):
    keys = parse(key_set(public("rsa"), member, {**public("rsa-2"), "key_ops": member, "n": member}))

    assert refused(GOOD, keys={ISSUER: KnownKeys(keys, None)}) is None
