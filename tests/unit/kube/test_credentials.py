"""Credential Secrets are created and never overwritten, and the operator accepts only those that it wrote."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import psycopg.conninfo
import pytest

from rolevend.decision.outcome import Request
from rolevend.errors import Conflict, NotPermitted
from rolevend.kube.client import KubeClient
from rolevend.kube.credentials import CREDENTIAL_TYPE, MAC, CredentialSecrets
from rolevend.model import AgentHandle, ObjectName, PlatformName, ProfileName, RoleName, Uid, User, UserHandle
from rolevend.naming import role_name
from rolevend.platforms.protocol import Account, Address, Credential, KeyPairCredential, PasswordCredential, Secret, Tls, TlsMode
from tests.support.secrets import SecretStore

KEY = b"k" * 32
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
REQUEST = Request(
    name=ObjectName("agents", "ask"),
    uid=Uid("uid-1"),
    agent=ObjectName("agents", "finbot"),
    user=User("https://idp.example.org", "anna"),
    platform=PlatformName("warehouse"),
    created_at=NOW,
    expiration_seconds=900,
)


@pytest.fixture
def secrets() -> SecretStore:
    return SecretStore()


def credential(
    password: str = "p@ss/word:#?&=%",
    host: str = "db.example.org",
    database: str = "claims",
    tls: Tls | None = None,
    schema: str = "rv_p_1",
) -> Credential:
    address = Address(host, 5432, database, tls or Tls())
    return PasswordCredential(RoleName("IMMUTA_VENDED_A_B_C"), Secret(password), address, ProfileName(schema))


async def kept(secrets: SecretStore, fresh: Credential, request: Request = REQUEST, key: bytes = KEY) -> Credential:
    return await CredentialSecrets(cast(KubeClient, secrets), key).keep(request, fresh, NOW)


async def test_a_retry_gets_the_password_that_was_kept_first(secrets: SecretStore):
    first = await kept(secrets, credential("first"))

    second = await kept(secrets, credential("second"))

    assert first.password.reveal() == second.password.reveal() == "first"


@pytest.mark.parametrize("host", ["db.example.org", "::1"])
@pytest.mark.parametrize("database", ["claims", "my db/ü"])
async def test_the_uri_says_what_the_single_keys_say_whatever_characters_are_in_them(secrets: SecretStore, host: str, database: str):
    await kept(secrets, credential(host=host, database=database))

    data = {key: base64.b64decode(value).decode() for key, value in secrets.stored["agents", "ask"]["data"].items()}

    parsed = psycopg.conninfo.conninfo_to_dict(data["uri"])
    same = {"user": "username", "password": "password", "host": "host", "port": "port", "dbname": "dbname", "sslmode": "sslmode"}
    assert data["schema"] == "rv_p_1"
    for key, member in same.items():
        assert parsed[key] == data[member]


@pytest.mark.parametrize(
    ("tls", "parameters", "authorities"),
    [
        (Tls(), {"sslmode": "verify-full", "sslrootcert": "system"}, None),
        (
            Tls(TlsMode.VERIFY_FULL, "PEM"),
            {"sslmode": "verify-full", "sslrootcert": "/var/run/secrets/rolevend.dev/ask/ca.crt"},
            "PEM",
        ),
        (Tls(TlsMode.VERIFY_CA, "PEM"), {"sslmode": "verify-ca", "sslrootcert": "/var/run/secrets/rolevend.dev/ask/ca.crt"}, "PEM"),
        (Tls(TlsMode.REQUIRE), {"sslmode": "require"}, None),
        (Tls(TlsMode.DISABLE), {"sslmode": "disable"}, None),
    ],
)
async def test_the_uri_asks_of_the_server_what_the_platform_says_and_the_authorities_come_along(
    secrets: SecretStore, tls: Tls, parameters: dict[str, str], authorities: str | None
):
    await kept(secrets, credential(tls=tls))

    data = {key: base64.b64decode(value).decode() for key, value in secrets.stored["agents", "ask"]["data"].items()}

    parsed = psycopg.conninfo.conninfo_to_dict(data["uri"])
    assert {key: value for key, value in parsed.items() if key.startswith("ssl")} == parameters
    assert data.get("ca.crt") == authorities


@pytest.mark.parametrize("tls", [Tls(authority="PEM"), Tls()])
async def test_the_authority_is_the_last_parameter_of_the_uri_and_there_once_so_that_a_shell_can_replace_it(secrets: SecretStore, tls: Tls):
    await kept(secrets, credential(password="&sslrootcert=x", database="sslrootcert=", tls=tls))
    uri = base64.b64decode(secrets.stored["agents", "ask"]["data"]["uri"]).decode()

    replaced = re.sub("sslrootcert=.*", "sslrootcert=/tmp/ca.crt", uri)

    assert [name for name, _ in parse_qsl(urlsplit(uri).query)] == ["sslmode", "sslrootcert"]
    was, now = psycopg.conninfo.conninfo_to_dict(uri), psycopg.conninfo.conninfo_to_dict(replaced)
    assert now == {**was, "sslrootcert": "/tmp/ca.crt"}


async def test_a_credential_names_the_schema_of_the_role_also_where_it_was_kept_for_another_profile(secrets: SecretStore):
    await kept(secrets, credential("first", schema="rv_p_1"))

    answered = await kept(secrets, credential("second", schema="rv_p_2"))

    assert answered == credential("second", schema="rv_p_2")
    assert secrets.stored["agents", "ask"]["data"]["schema"] == encoded("rv_p_2")
    assert await kept(secrets, credential("third", schema="rv_p_2")) == answered


async def test_a_credential_of_a_version_that_named_no_schema_is_still_good(secrets: SecretStore):
    request = replace(REQUEST, uid=ROLE_UID)
    store = CredentialSecrets(cast(KubeClient, secrets), KEY)
    await store.keep(request, of_role(ROLE_UID), NOW)
    there = secrets.stored["agents", "ask"]
    del there["data"]["schema"]
    texts = {key: base64.b64decode(value).decode() for key, value in there["data"].items()}
    there["metadata"]["annotations"][MAC] = store._mac(request, texts)

    assert await store.keep(request, replace(of_role(ROLE_UID), password=Secret("fresh")), NOW) == of_role(ROLE_UID)


async def test_a_secret_is_owned_by_its_object_and_immutable(secrets: SecretStore):
    await kept(secrets, credential())

    secret = secrets.stored["agents", "ask"]

    assert secret["immutable"]
    assert [(owner["kind"], owner["uid"]) for owner in secret["metadata"]["ownerReferences"]] == [("VendedRole", "uid-1")]


@pytest.mark.parametrize(
    "foreign",
    [
        {"type": "Opaque", "metadata": {"name": "ask"}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask"}},
        {"type": "Opaque", "metadata": {"name": "ask", "ownerReferences": [{"kind": "VendedRole", "name": "ask", "uid": "uid-1"}]}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask", "ownerReferences": [{"kind": "Pod", "name": "ask", "uid": "uid-9"}]}},
    ],
)
async def test_a_secret_that_is_not_ours_is_a_conflict_and_stays_as_it_is(secrets: SecretStore, foreign: dict[str, Any]):
    secrets.stored["agents", "ask"] = foreign

    with pytest.raises(Conflict, match="Secret agents/ask exists and is not this VendedRole's credential: delete it, or"):
        await kept(secrets, credential())

    assert secrets.stored["agents", "ask"] == foreign


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "forged",
    [
        {"annotations": {}},
        {"annotations": {MAC: ""}},
        {"annotations": {MAC: "ü" * 64}},
        {"data": {"password": encoded("planted")}},
        {"data": {"username": encoded("IMMUTA_VENDED_X_Y_Z")}},
        {"data": {"host": encoded("attacker.example.org")}},
        {"data": {"more": encoded("")}},
    ],
    ids=str,
)
async def test_a_secret_that_the_operator_did_not_write_so_is_replaced_and_gives_the_role_no_password(
    secrets: SecretStore, forged: dict[str, Any]
):
    await kept(secrets, credential("first"))
    there = secrets.stored["agents", "ask"]
    there["metadata"]["annotations"] = forged.get("annotations", there["metadata"]["annotations"])
    there["data"] |= forged.get("data", {})

    answered = await kept(secrets, credential("second"))

    assert answered == credential("second")
    assert secrets.stored["agents", "ask"]["data"]["password"] == encoded("second")
    assert await kept(secrets, credential("third")) == answered, "what replaced it is believed"


async def test_a_mac_holds_for_one_role_one_platform_one_namespace_and_one_key(secrets: SecretStore):
    mine = replace(REQUEST, uid=ROLE_UID)
    others = (
        replace(mine, uid=Uid("0d5f1e7a-0000-4000-8000-000000000002")),
        replace(mine, name=ObjectName("agents", "other")),
        replace(mine, name=ObjectName("elsewhere", "ask")),
        replace(mine, further=True),
    )
    for other in others:
        await kept(secrets, of_role(ROLE_UID), other)
        (copied,) = secrets.stored.values()
        secrets.stored.clear()
        owner = {**copied["metadata"]["ownerReferences"][0], "name": "ask", "uid": ROLE_UID}
        secrets.stored["agents", "ask"] = {**copied, "metadata": {**copied["metadata"], "name": "ask", "ownerReferences": [owner]}}

        fresh = replace(of_role(ROLE_UID), password=Secret("fresh"))
        assert await kept(secrets, fresh, mine) == fresh
        secrets.stored.clear()

    await kept(secrets, of_role(ROLE_UID), mine)
    assert await kept(secrets, fresh, mine, key=b"another key" * 3) == fresh


async def test_whoever_writes_the_secret_again_and_again_is_in_the_way_and_named(secrets: SecretStore, monkeypatch: pytest.MonkeyPatch):
    await kept(secrets, credential("planted"), key=b"another key" * 3)

    async def written_again(*_: object) -> None: ...

    monkeypatch.setattr(secrets, "delete", written_again)

    with pytest.raises(
        Conflict, match="Secret agents/ask is written again by somebody else: find out who creates Secrets in namespace agents"
    ):
        await kept(secrets, credential("fresh"))


ROLE_UID = Uid("0d5f1e7a-0000-4000-8000-000000000001")


def of_role(uid: Uid) -> Credential:
    return replace(credential(), role=role_name(AgentHandle("A"), UserHandle("B"), uid))


async def discarded(secrets: SecretStore, request: Request) -> None:
    await CredentialSecrets(cast(KubeClient, secrets), KEY).discard(request)


async def test_a_credential_that_is_discarded_is_gone_and_discarding_nothing_is_fine(secrets: SecretStore):
    await kept(secrets, credential())

    await discarded(secrets, REQUEST)
    await discarded(secrets, REQUEST)

    assert secrets.stored == {}


async def test_one_that_has_lost_its_owner_is_known_by_the_role_that_it_is_for(secrets: SecretStore):
    mine, another = (replace(REQUEST, uid=uid) for uid in (ROLE_UID, Uid("0d5f1e7a-0000-4000-8000-000000000002")))
    await kept(secrets, of_role(ROLE_UID), mine)
    del secrets.stored["agents", "ask"]["metadata"]["ownerReferences"]

    await discarded(secrets, another)
    assert secrets.stored

    await discarded(secrets, mine)
    assert not secrets.stored


async def test_a_secret_that_is_not_of_the_request_is_not_discarded(secrets: SecretStore):
    for foreign in (
        {"type": "Opaque", "metadata": {"name": "ask", "uid": "s", "ownerReferences": [{"kind": "VendedRole", "uid": "uid-1"}]}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask", "uid": "s"}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask", "uid": "s"}, "data": {"username": "///"}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask", "uid": "s", "ownerReferences": [{"kind": "VendedRole", "uid": "uid-2"}]}},
    ):
        secrets.stored["agents", "ask"] = foreign

        await discarded(secrets, REQUEST)

        assert secrets.stored["agents", "ask"] == foreign


async def test_no_end_of_a_role_waits_for_a_right_on_secrets(secrets: SecretStore):
    await kept(secrets, credential())
    secrets.forbidding = True

    await discarded(secrets, REQUEST)


ACCOUNT = Account("myorg-account1", "myorg-account1.snowflakecomputing.com", 443, "CLAIMS", "AGENTS_WH")


def key_pair(key: str = "-----BEGIN PRIVATE KEY-----") -> KeyPairCredential:
    return KeyPairCredential(RoleName("IMMUTA_VENDED_A_B_C"), "IMMUTA_VENDED_A_B_C", Secret(key), ACCOUNT)


async def test_the_secret_of_a_key_pair_says_all_that_a_connector_asks_for(secrets: SecretStore):
    await kept(secrets, key_pair("key"))

    assert {key: base64.b64decode(value).decode() for key, value in secrets.stored["agents", "ask"]["data"].items()} == {
        "account": "myorg-account1",
        "username": "IMMUTA_VENDED_A_B_C",
        "role": "IMMUTA_VENDED_A_B_C",
        "private_key": "key",
        "host": "myorg-account1.snowflakecomputing.com",
        "port": "443",
        "database": "CLAIMS",
        "warehouse": "AGENTS_WH",
    }


async def test_a_retry_gets_the_key_that_was_kept_first(secrets: SecretStore):
    await kept(secrets, key_pair("first"))

    assert await kept(secrets, key_pair("second")) == key_pair("first")


async def test_a_namespace_that_takes_no_secret_says_why_and_not_that_a_right_is_missing(secrets: SecretStore):
    secrets.full = "exceeded quota: few, requested: secrets=1, used: secrets=3, limited: secrets=3"

    with pytest.raises(NotPermitted, match=r"may not write Secrets in namespace agents: .* exceeded quota: few") as refused:
        await kept(secrets, credential())

    assert "agentNamespaces" not in str(refused.value)
