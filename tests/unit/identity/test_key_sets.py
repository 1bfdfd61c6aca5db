"""Key sets: what is taken from one, how it is read over HTTP, and that nothing bad ever takes the place of something good."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rolevend.errors import IdentityProviderUnavailable, InvalidInput, RolevendError
from rolevend.identity import compact
from rolevend.identity.key_fetching import KeyFetcher, keys_url
from rolevend.identity.key_set import MAXIMUM_BYTES, MAXIMUM_KEYS, KeySet, parse
from rolevend.identity.key_store import KeyStore, Pace
from rolevend.identity.proven import ProvenUser
from rolevend.identity.provider import Algorithm, Discovery, InlineKeys, KeysUrl, Provider, TokenType
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.identity.service_account import NotTaken, Review
from rolevend.identity.signature_cache import SignatureCache, SignedToken
from rolevend.identity.token_check import Reviews, TokenCheck
from rolevend.policytools.embedded.certificates import CertificateAuthority
from tests.support.tokens import (
    AS_AGENT,
    FOR_AGENT,
    ISSUER,
    KEYS,
    NOW,
    OTHER_ISSUER,
    PROVIDER,
    access_token,
    after,
    agent_token,
    header,
    key,
    key_set,
    public,
    token,
)

ONE = key_set(public("rsa"))
TWO = key_set(public("rsa-2"))
DISCOVERY = "/.well-known/openid-configuration"


# What is taken from a key set


def named(keys: KeySet) -> list[str | None]:
    return [each.key_id for each in keys.keys]


def test_public_keys_for_signatures_are_taken():
    assert named(parse(KEYS)) == ["rsa", "rsa-2", "p256", "p384", "p521", "ed25519"]


@pytest.mark.parametrize(
    ("member", "why"),
    [
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "x"}, "key 1 is symmetric: a verifier could sign with it"),
        (key("rsa-2").as_dict(private=True), "key 1 is private, and was published: its issuer must replace it"),
        (key("p256").as_dict(private=True), "key 1 is private, and was published: its issuer must replace it"),
        ({**public("rsa-2"), "p": "AQAB"}, "key 1 is private, and was published: its issuer must replace it"),
        (public("rsa-2", use="enc"), "key 1 is not for signatures"),
        (public("rsa-2", key_ops=["encrypt"]), "key 1 is not for signatures"),
        (public("rsa-2", key_ops="verify"), "key 1 is not for signatures"),
        (public("rsa-2", alg="RSA-OAEP"), "key 1 is of a kind or for an algorithm that is not taken"),
        (public("rsa-2", alg="HS256"), "key 1 is of a kind or for an algorithm that is not taken"),
        (public("rsa-2", alg="none"), "key 1 is of a kind or for an algorithm that is not taken"),
        (public("p256", crv="secp256k1"), "key 1 is of a kind or for an algorithm that is not taken"),
        (public("ed25519", crv="X25519"), "key 1 is of a kind or for an algorithm that is not taken"),
        ({"kty": "AKP", "alg": "ML-DSA-44"}, "key 1 is of a kind or for an algorithm that is not taken"),
        ({"kid": "x"}, "key 1 is of a kind or for an algorithm that is not taken"),
        ({"kty": ["RSA"]}, "key 1 is of a kind or for an algorithm that is not taken"),
        (public("p256", x="AAAA"), "key 1 is no key of its kind"),
        (public("p256", x=7), "key 1 is no key of its kind"),
        ({"kty": "EC", "crv": "P-256"}, "key 1 is no key of its kind"),
        (public("rsa-2", n="AQAB"), "key 1 has not 2048 to 8192 bits"),
        (public("rsa-2", n="_" * 1400), "key 1 has not 2048 to 8192 bits"),
        (public("rsa-2", n=7), "key 1 is no key of its kind"),
        (public("rsa-2", e="AQ"), "key 1 is no key of its kind"),
        (public("rsa-2", e="_" * 344), "key 1 has an exponent that is too large"),
        (public("rsa-2", kid=7), "key 1 has a kid that is no text of at most 256 characters"),
        (public("rsa-2", kid="x" * 257), "key 1 has a kid that is no text of at most 256 characters"),
        ("rsa", "key 1 is no object"),
    ],
)
def test_what_is_no_public_key_for_signatures_is_passed_over_and_reported(member: Any, why: str):
    keys = parse(key_set(public("rsa"), member))

    assert named(keys) == ["rsa"]
    assert keys.ignored == (why,)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[],"keys":[]}',
        b'{"keys":null}',
        key_set({"kty": "oct", "k": "c2VjcmV0"}),
        key_set(*[public("rsa")] * (MAXIMUM_KEYS + 1)),
        ONE + b" " * MAXIMUM_BYTES,
    ],
)
def test_what_has_no_key_that_we_take_is_no_key_set(raw: bytes):
    with pytest.raises(InvalidInput):
        parse(raw, "spec.keys.inline")


# Reading over HTTP


class Issuer:
    """A server on a free port, whose answers a test may change."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], web.StreamResponse]] = {}
        self.asked: list[str] = []
        self.pause: asyncio.Event | None = None
        self.url = ""

    def says(self, path: str, body: bytes, **members: Any) -> None:
        self.answers[path] = lambda: web.Response(body=body, **members)

    def leads(self, path: str, where: str, status: int = 302) -> None:
        self.answers[path] = lambda: web.Response(status=status, headers={"Location": where})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.pause is not None:
            await self.pause.wait()
        found = self.answers.get(request.path)
        return web.Response(status=404) if found is None else found()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async for server in serve(None):
        yield server


@pytest.fixture
async def another() -> AsyncIterator[Issuer]:
    async for server in serve(None):
        yield server


async def serve(tls: ssl.SSLContext | None) -> AsyncIterator[Issuer]:
    server = Issuer()
    application = web.Application()
    application.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


def at(url: str, authorities: str | None = None) -> Provider:
    return replace(PROVIDER, keys=KeysUrl(url, authorities))


async def test_keys_are_read_from_their_url(issuer: Issuer):
    issuer.says("/keys", ONE)

    assert await KeyFetcher().read(at(f"{issuer.url}/keys")) == ONE


async def test_keys_are_found_by_discovery(issuer: Issuer):
    issuer.says(DISCOVERY, json.dumps({"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}).encode())
    issuer.says("/keys", ONE)
    provider = replace(PROVIDER, issuer=issuer.url, keys=Discovery())

    assert await KeyFetcher().read(provider) == ONE
    assert issuer.asked == [DISCOVERY, "/keys"]


async def test_a_discovery_document_of_another_issuer_leads_nowhere(issuer: Issuer):
    issuer.says(DISCOVERY, json.dumps({"issuer": f"{issuer.url}/", "jwks_uri": f"{issuer.url}/keys"}).encode())

    with pytest.raises(InvalidInput, match="has another issuer"):
        await KeyFetcher().read(replace(PROVIDER, issuer=issuer.url, keys=Discovery()))
    assert issuer.asked == [DISCOVERY]


@pytest.mark.parametrize(
    "document",
    [
        {"jwks_uri": "https://idp.example.org/keys"},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": None},
        {"issuer": ISSUER, "jwks_uri": "http://idp.example.org/keys"},
        {"issuer": ISSUER, "jwks_uri": "http://127.0.0.1/keys"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": [ISSUER], "jwks_uri": "https://idp.example.org/keys"},
        {"issuer": f"{ISSUER}/", "jwks_uri": "https://idp.example.org/keys"},
    ],
)
def test_a_discovery_document_that_could_not_be_right_is_refused(document: dict[str, Any]):
    with pytest.raises(InvalidInput):
        keys_url(json.dumps(document).encode(), ISSUER)


def test_a_discovery_document_may_name_another_server_for_the_keys():
    document = json.dumps({"issuer": ISSUER, "jwks_uri": "https://keys.example.org/keys"}).encode()

    assert keys_url(document, ISSUER) == "https://keys.example.org/keys"


async def test_a_server_may_lead_on_within_itself(issuer: Issuer):
    issuer.leads("/keys", "/keys/")
    issuer.says("/keys/", ONE)

    assert await KeyFetcher().read(at(f"{issuer.url}/keys")) == ONE


@pytest.mark.parametrize("where", ["//attacker.example.org/keys", "https://attacker.example.org/keys", "http://localhost/keys", ""])
async def test_a_server_may_not_lead_elsewhere(issuer: Issuer, where: str):
    issuer.leads("/keys", where)

    with pytest.raises(IdentityProviderUnavailable, match="leads to another server"):
        await KeyFetcher().read(at(f"{issuer.url}/keys"))


async def test_another_port_is_another_server(issuer: Issuer, another: Issuer):
    issuer.leads("/keys", f"{another.url}/keys")
    another.says("/keys", ONE)

    with pytest.raises(IdentityProviderUnavailable, match="leads to another server"):
        await KeyFetcher().read(at(f"{issuer.url}/keys"))
    assert another.asked == []


async def test_a_server_that_leads_in_circles_is_left(issuer: Issuer):
    issuer.leads("/keys", "/keys")

    with pytest.raises(IdentityProviderUnavailable, match="leads on more than 3 times"):
        await KeyFetcher().read(at(f"{issuer.url}/keys"))
    assert len(issuer.asked) == 4


@pytest.mark.parametrize("status", [204, 401, 403, 404, 500, 503])
async def test_an_answer_that_is_no_success_is_no_key_set(issuer: Issuer, status: int):
    issuer.says("/keys", b"" if status == 204 else ONE, status=status)

    with pytest.raises(IdentityProviderUnavailable, match=f"status {status}"):
        await KeyFetcher().read(at(f"{issuer.url}/keys"))


async def test_an_answer_is_read_no_further_than_its_bound(issuer: Issuer):
    issuer.says("/keys", b" " * (MAXIMUM_BYTES + 1))

    with pytest.raises(IdentityProviderUnavailable, match="more than 1048576 bytes"):
        await KeyFetcher().read(at(f"{issuer.url}/keys"))


async def test_a_compressed_answer_is_not_unpacked(issuer: Issuer):
    def packed() -> web.Response:
        response = web.Response(body=b"{}" * 4096)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    issuer.answers["/keys"] = packed
    raw = await KeyFetcher().read(at(f"{issuer.url}/keys"))

    assert len(raw) < 4096
    with pytest.raises(InvalidInput):
        parse(raw)


async def test_a_server_that_does_not_answer_is_left(issuer: Issuer):
    issuer.pause = asyncio.Event()

    with pytest.raises(IdentityProviderUnavailable, match="Timeout"):
        await KeyFetcher(seconds=0.1).read(at(f"{issuer.url}/keys"))
    issuer.pause.set()


async def test_a_server_that_is_not_there_is_told(unused_port: int):
    with pytest.raises(IdentityProviderUnavailable, match="reading http://127"):
        await KeyFetcher().read(at(f"http://127.0.0.1:{unused_port}/keys"))


@pytest.fixture
async def unused_port() -> int:
    async for server in serve(None):
        port = int(server.url.rpartition(":")[2])
    return port


async def test_a_server_is_believed_by_the_named_authorities_alone(tmp_path: Path):
    now, day = datetime.now(UTC), timedelta(days=1)
    authority, stranger = CertificateAuthority("issuer", now, day), CertificateAuthority("stranger", now, day)
    async for server in serve(server_context(authority, tmp_path)):
        server.says("/keys", ONE)

        assert await KeyFetcher().read(at(f"{server.url}/keys", authority.certificate.decode())) == ONE
        for believed in (None, stranger.certificate.decode()):
            with pytest.raises(IdentityProviderUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await KeyFetcher().read(at(f"{server.url}/keys", believed))


async def test_authorities_that_are_no_certificates_are_refused():
    with pytest.raises(InvalidInput, match="no certificates"):
        await KeyFetcher().read(at("https://127.0.0.1/keys", "nothing"))


def server_context(authority: CertificateAuthority, folder: Path) -> ssl.SSLContext:
    pair = authority.issue("issuer", hosts=("127.0.0.1",))
    (folder / "server.crt").write_bytes(pair.certificate)
    (folder / "server.key").write_bytes(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context


# The store


class Source:
    """What a store reads: bytes or an error, whatever is there when it is asked."""

    def __init__(self, answer: bytes | RolevendError) -> None:
        self.answer = answer
        self.asked = 0
        self.pause: asyncio.Event | None = None

    async def read(self, _: Provider) -> bytes:
        self.asked += 1
        if self.pause is not None:
            await self.pause.wait()
        if isinstance(self.answer, RolevendError):
            raise self.answer
        return self.answer


class Clocks:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return after(self.seconds)

    def moment(self) -> float:
        return self.seconds


REMOTE = at("https://idp.example.org/keys")
PACE = Pace(refresh=300, retry=15, cool_down=30)


def store(source: Source, clocks: Clocks, provider: Provider = REMOTE, pace: Pace = PACE) -> KeyStore:
    made = KeyStore(source.read, clocks.now, clocks.moment, pace)
    made.follow({ISSUER: provider})
    return made


def read_by(keys: KeyStore) -> list[str | None]:
    return named(keys.known[ISSUER].keys) if ISSUER in keys.known else []


def test_keys_of_the_configuration_are_known_at_once_and_do_not_age():
    keys = store(Source(b""), Clocks(), PROVIDER)

    assert len(read_by(keys)) == 6
    assert keys.known[ISSUER].read_at is None


async def test_keys_of_the_configuration_are_never_looked_for_elsewhere():
    source = Source(ONE)
    keys = store(source, Clocks(), PROVIDER)
    await keys.refresh(ISSUER)

    assert await KeyFetcher().read(PROVIDER) == KEYS
    assert (source.asked, len(read_by(keys))) == (0, 6)


def test_unreadable_keys_of_the_configuration_are_a_problem():
    keys = store(Source(b""), Clocks(), replace(PROVIDER, keys=InlineKeys("{}")))

    assert keys.known == {}
    assert "no key set" in keys.problems[ISSUER]


@pytest.mark.parametrize("bad", [b"", b"<html>", b'{"keys":[]}', key_set({"kty": "oct", "k": "eA"}), IdentityProviderUnavailable("gone")])
async def test_what_is_bad_never_takes_the_place_of_what_was_good(bad: bytes | RolevendError):
    source, clocks = Source(ONE), Clocks()
    keys = store(source, clocks)
    await keys.refresh(ISSUER)
    source.answer, clocks.seconds = bad, 600
    await keys.refresh(ISSUER)

    assert read_by(keys) == ["rsa"]
    assert keys.known[ISSUER].read_at == NOW
    assert keys.problems[ISSUER]

    source.answer = TWO
    await keys.refresh(ISSUER)
    assert (read_by(keys), keys.problems) == (["rsa-2"], {})
    assert keys.known[ISSUER].read_at == after(600)


async def test_many_who_ask_at_once_cause_one_look():
    source = Source(ONE)
    source.pause = asyncio.Event()
    keys = store(source, Clocks())
    asking = [asyncio.create_task(keys.look_again(ISSUER)) for _ in range(50)]
    await until(lambda: source.asked > 0)
    asking[0].cancel()
    source.pause.set()

    assert all(await asyncio.gather(*asking[1:]))
    assert source.asked == 1
    assert read_by(keys) == ["rsa"]


async def test_a_flood_of_unknown_keys_causes_one_look_per_cool_down():
    source, clocks = Source(ONE), Clocks()
    keys = store(source, clocks)
    for second in range(90):
        clocks.seconds = second
        await asyncio.gather(*(keys.look_again(ISSUER) for _ in range(10)))

    assert source.asked == 3


async def test_a_look_that_failed_cools_down_as_well():
    source, clocks = Source(IdentityProviderUnavailable("gone")), Clocks()
    keys = store(source, clocks)

    assert await keys.look_again(ISSUER)
    assert not await keys.look_again(ISSUER)
    assert source.asked == 1


async def test_nobody_looks_for_keys_of_an_issuer_that_is_not_followed():
    source = Source(ONE)
    keys = store(source, Clocks())

    assert not await keys.look_again("https://attacker.example.org")
    assert source.asked == 0


async def test_keys_from_elsewhere_are_forgotten_and_the_others_stay():
    keys = store(Source(ONE), Clocks())
    await keys.refresh(ISSUER)

    keys.follow({ISSUER: replace(REMOTE, name="renamed")})
    assert read_by(keys) == ["rsa"]
    keys.follow({ISSUER: at("https://idp.example.org/other")})
    assert read_by(keys) == []


@pytest.mark.parametrize("answer", [ONE, b"", IdentityProviderUnavailable("gone")])
async def test_keys_that_arrive_after_their_source_was_changed_are_not_taken(answer: bytes | RolevendError):
    source = Source(ONE)
    source.pause = asyncio.Event()
    keys = store(source, Clocks())
    looking = asyncio.create_task(keys.refresh(ISSUER))
    await until(lambda: source.asked > 0)
    keys.follow({ISSUER: at("https://idp.example.org/other")})
    source.answer = answer
    source.pause.set()
    await looking

    assert (read_by(keys), keys.problems) == ([], {})


async def test_an_issuer_that_is_not_followed_any_more_has_no_keys():
    keys = store(Source(ONE), Clocks())
    await keys.refresh(ISSUER)
    keys.follow({})

    assert (keys.known, keys.problems) == ({}, {})


async def test_keys_are_read_again_and_again_in_the_background():
    source, clocks = Source(ONE), Clocks()
    keys = store(source, clocks, pace=Pace(refresh=0.01, retry=0.01))
    running = asyncio.create_task(keys.run())
    await until(lambda: read_by(keys) == ["rsa"])
    source.answer = IdentityProviderUnavailable("gone")
    clocks.seconds += 1
    await until(lambda: ISSUER in keys.problems)
    source.answer = TWO
    clocks.seconds += 1
    await until(lambda: read_by(keys) == ["rsa-2"])
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_provider_that_is_followed_later_is_read_without_waiting():
    source = Source(ONE)
    keys = KeyStore(source.read, Clocks().now, Clocks().moment, PACE)
    running = asyncio.create_task(keys.run())
    await asyncio.sleep(0)
    keys.follow({ISSUER: REMOTE})
    await until(lambda: read_by(keys) == ["rsa"])
    running.cancel()


async def test_an_issuer_that_does_not_answer_holds_up_no_other():
    asked: list[str] = []

    async def read(provider: Provider) -> bytes:
        asked.append(provider.issuer)
        if provider.issuer == OTHER_ISSUER:
            await asyncio.Event().wait()
        return ONE

    clocks = Clocks()
    keys = KeyStore(read, clocks.now, clocks.moment, Pace(refresh=0.01, retry=0.01))
    keys.follow({OTHER_ISSUER: replace(REMOTE, issuer=OTHER_ISSUER), ISSUER: REMOTE})
    running = asyncio.create_task(keys.run())
    for _ in range(3):
        clocks.seconds += 1
        seen = asked.count(ISSUER)
        await until(lambda seen=seen: asked.count(ISSUER) > seen)
    running.cancel()

    assert asked.count(OTHER_ISSUER) == 1
    assert list(keys.known) == [ISSUER]


async def test_an_error_that_nobody_expected_is_raised_and_not_repeated_at_once():
    asked = 0

    async def read(_: Provider) -> bytes:
        nonlocal asked
        asked += 1
        raise ZeroDivisionError

    clocks = Clocks()
    keys = KeyStore(read, clocks.now, clocks.moment, PACE)
    keys.follow({ISSUER: REMOTE})
    with pytest.raises(ZeroDivisionError):
        await keys.refresh(ISSUER)
    running = asyncio.create_task(keys.run())
    for _ in range(10):
        await asyncio.sleep(0)
    running.cancel()

    assert asked == 1


# The store behind the check of a token


class Nobody:
    async def review(self, _token: str, _audiences: frozenset[str]) -> Review:
        return NotTaken()


def check(source: Source, clocks: Clocks) -> tuple[TokenCheck, KeyStore]:
    keys = KeyStore(source.read, clocks.now, clocks.moment, PACE)
    made = TokenCheck(keys, clocks.now, Reviews(Nobody(), clocks.moment))
    made.follow({ISSUER: REMOTE})
    return made, keys


async def code_of(asked: Awaitable[ProvenUser]) -> Code | None:
    try:
        await asked
    except TokenRefused as refused:
        return refused.code
    return None


async def test_a_rotated_key_is_found_while_tokens_are_served():
    source, clocks = Source(ONE), Clocks()
    made, keys = check(source, clocks)
    await keys.refresh(ISSUER)
    rotated = token(head=header(kid="rsa-2"), by="rsa-2")
    source.answer = key_set(public("rsa"), public("rsa-2"))

    assert await code_of(made.user(access_token(), FOR_AGENT)) is None
    assert source.asked == 1
    assert await code_of(made.user(rotated, FOR_AGENT)) is None
    assert source.asked == 2


async def test_made_up_keys_cost_one_look_and_others_do_not_suffer():
    source, clocks = Source(ONE), Clocks()
    made, keys = check(source, clocks)
    await keys.refresh(ISSUER)
    floods = [made.user(token(head=header(kid=f"x{number}")), FOR_AGENT) for number in range(100)]
    codes = await asyncio.gather(*(code_of(flood) for flood in floods), code_of(made.user(access_token(), FOR_AGENT)))

    assert codes == [Code.UNKNOWN_KEY] * 100 + [None]
    assert source.asked == 2


async def test_keys_that_were_not_read_yet_are_read_for_the_first_who_asks():
    source = Source(ONE)
    made, _ = check(source, Clocks())

    assert await code_of(made.user(access_token(), FOR_AGENT)) is None
    assert source.asked == 1


async def test_keys_that_cannot_be_read_any_more_serve_until_they_are_too_old():
    source, clocks = Source(ONE), Clocks()
    made, keys = check(source, clocks)
    await keys.refresh(ISSUER)
    source.answer = IdentityProviderUnavailable("gone")
    age = REMOTE.keys_maximum_age.total_seconds()
    codes = []
    for clocks.seconds in (0.0, age, age + 1):
        moment = int(clocks.now().timestamp())
        codes.append(await code_of(made.user(access_token(iat=moment, exp=moment + 60), FOR_AGENT)))

    assert codes == [None, None, Code.STALE_KEYS]


# An agent's own token, which many calls carry


async def agent_code(made: TokenCheck, text: str) -> Code | None:
    try:
        await made.agent(text, AS_AGENT)
    except TokenRefused as refused:
        return refused.code
    return None


async def test_a_verified_token_is_refused_as_soon_as_its_key_is_revoked_or_is_another_one():
    source, clocks = Source(ONE), Clocks()
    made, keys = check(source, clocks)
    own = agent_token()
    assert [await agent_code(made, own) for _ in range(2)] == [None, None]

    source.answer = TWO
    await keys.refresh(ISSUER)
    assert await agent_code(made, own) is Code.UNKNOWN_KEY

    source.answer = key_set(public("rsa-2") | {"kid": "rsa"})
    await keys.refresh(ISSUER)
    assert await agent_code(made, own) is Code.BAD_SIGNATURE

    source.answer = ONE
    await keys.refresh(ISSUER)
    assert await agent_code(made, own) is None


async def test_a_verified_token_expires_and_its_keys_age():
    source, clocks = Source(ONE), Clocks()
    made, keys = check(source, clocks)
    moment = int(NOW.timestamp())
    short, long = agent_token(exp=moment + 60), agent_token(exp=moment + 10**6)
    assert [await agent_code(made, each) for each in (short, long)] == [None, None]

    clocks.seconds = 60 + PROVIDER.leeway.total_seconds() + 1
    assert [await agent_code(made, each) for each in (short, long)] == [Code.EXPIRED, None]

    source.answer = IdentityProviderUnavailable("gone")
    clocks.seconds = REMOTE.keys_maximum_age.total_seconds() + 2
    assert await agent_code(made, long) is Code.STALE_KEYS
    assert keys.problems


async def test_a_verified_token_is_held_to_what_its_provider_accepts_now():
    made, _keys = check(Source(ONE), Clocks())
    own = agent_token()
    assert await agent_code(made, own) is None

    for changed, code in (
        ({"audiences": frozenset({"another"})}, Code.WRONG_AUDIENCE),
        ({"algorithms": frozenset({Algorithm.ES256})}, Code.ALGORITHM_NOT_ALLOWED),
        ({"accepts": frozenset({TokenType.ID_TOKEN})}, Code.TYPE_NOT_ACCEPTED),
    ):
        made.follow({ISSUER: replace(REMOTE, **changed)})
        assert await agent_code(made, own) is code
    made.follow({})
    assert await agent_code(made, own) is Code.UNKNOWN_ISSUER


async def test_only_the_whole_token_is_one_that_was_verified():
    made, _ = check(Source(ONE), Clocks())
    own, others = agent_token(), agent_token(sub="another")
    assert await agent_code(made, own) is None
    head, payload, signature = own.split(".")
    forged = ".".join((head, others.split(".")[1], signature))
    unsigned, flipped = f"{head}.{payload}.", f"{head}.{payload}.{signature[:-10]}{signature[-10:].swapcase()}"

    for each in (forged, unsigned, flipped, f"{own[:-1]}", f" {own}", f"{own}\udc80"):
        assert await agent_code(made, each) not in (None, Code.NOT_AN_AGENTS_OWN), each


async def test_a_token_that_proves_an_agent_proves_no_user_and_none_is_kept_of_users():
    made, _ = check(Source(ONE), Clocks())
    assert await agent_code(made, agent_token()) is None
    assert await code_of(made.user(access_token(), FOR_AGENT)) is None

    assert await code_of(made.user(agent_token(), FOR_AGENT)) is not None
    assert await agent_code(made, access_token()) is Code.NOT_AN_AGENTS_OWN


def test_verified_tokens_have_a_bound_and_the_oldest_goes_first():
    cache = SignatureCache(2)
    keys = parse(ONE)
    signed = SignedToken(compact.read(agent_token()), keys)

    for text in ("one", "two", "one", "three"):
        cache.add(text, signed)

    assert [cache.get(text) is signed for text in ("one", "two", "three")] == [True, False, True]


async def until(condition: Callable[[], bool], within: float = 10) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0)
