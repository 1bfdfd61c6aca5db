"""Secrets: credentials are created and never overwritten, logins are read whole or refused with the field that names them."""

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg.conninfo
import pytest

from rolevend.decision.outcome import Request
from rolevend.errors import Conflict, InvalidInput, NotPermitted
from rolevend.kube.client import KubeClient, NotFound, ResourceConflict, ResourcePath
from rolevend.kube.credentials import CREDENTIAL_TYPE, MAC, CredentialSecrets
from rolevend.kube.secrets import authority, key_login, login, own_key
from rolevend.model import AgentHandle, ObjectName, PlatformName, RoleName, Uid, User, UserHandle
from rolevend.naming import role_name
from rolevend.platforms.protocol import Account, Address, Credential, KeyPairCredential, PasswordCredential, Secret, Tls, TlsMode
from rolevend.policytools.embedded.certificates import CertificateAuthority as Signer

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


class Secrets:
    """The API server, as far as Secrets go."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], dict[str, Any]] = {}
        self.forbidding = False
        self.hidden: set[str] = set()
        """Which nobody here may read."""

    async def get(self, resource: ResourcePath, name: str, namespace: str) -> dict[str, Any]:
        if name in self.hidden:
            raise NotPermitted(f"may not get {name}")
        if (namespace, name) not in self.stored:
            raise NotFound(name)
        return self.stored[namespace, name]

    async def create(self, resource: ResourcePath, body: dict[str, Any], namespace: str) -> dict[str, Any]:
        key = namespace, body["metadata"]["name"]
        if key in self.stored:
            raise ResourceConflict(key[1])
        texts = {name: base64.b64encode(text.encode()).decode() for name, text in body.get("stringData", {}).items()}
        metadata = {**body["metadata"], "resourceVersion": "1", "uid": "secret-1"}
        self.stored[key] = {**body, "metadata": metadata, "data": {**body.get("data", {}), **texts}}
        return self.stored[key]

    async def delete(self, resource: ResourcePath, name: str, uid: str, namespace: str) -> None:
        assert self.stored[namespace, name]["metadata"]["uid"] == uid
        if self.forbidding:
            raise NotPermitted("no right on Secrets here")
        del self.stored[namespace, name]

    async def put(self, name: str, **texts: str) -> None:
        await self.create(ResourcePath("", ""), {"metadata": {"name": name}, "stringData": texts}, "system")


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


def credential(
    password: str = "p@ss/word:#?&=%", host: str = "db.example.org", database: str = "claims", tls: Tls | None = None
) -> Credential:
    return PasswordCredential(RoleName("IMMUTA_VENDED_A_B_C"), Secret(password), Address(host, 5432, database, tls or Tls()))


async def kept(secrets: Secrets, fresh: Credential, request: Request = REQUEST, key: bytes = KEY) -> Credential:
    return await CredentialSecrets(cast(KubeClient, secrets), key).keep(request, fresh, NOW)


async def test_a_retry_gets_the_password_that_was_kept_first(secrets: Secrets):
    first = await kept(secrets, credential("first"))

    second = await kept(secrets, credential("second"))

    assert first.password.reveal() == second.password.reveal() == "first"


@pytest.mark.parametrize("host", ["db.example.org", "::1"])
@pytest.mark.parametrize("database", ["claims", "my db/ü"])
async def test_the_uri_says_what_the_single_keys_say_whatever_characters_are_in_them(secrets: Secrets, host: str, database: str):
    await kept(secrets, credential(host=host, database=database))

    data = {key: base64.b64decode(value).decode() for key, value in secrets.stored["agents", "ask"]["data"].items()}

    parsed = psycopg.conninfo.conninfo_to_dict(data["uri"])
    same = {"user": "username", "password": "password", "host": "host", "port": "port", "dbname": "dbname", "sslmode": "sslmode"}
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
    secrets: Secrets, tls: Tls, parameters: dict[str, str], authorities: str | None
):
    await kept(secrets, credential(tls=tls))

    data = {key: base64.b64decode(value).decode() for key, value in secrets.stored["agents", "ask"]["data"].items()}

    parsed = psycopg.conninfo.conninfo_to_dict(data["uri"])
    assert {key: value for key, value in parsed.items() if key.startswith("ssl")} == parameters
    assert data.get("ca.crt") == authorities


async def test_whoever_mounts_the_secret_elsewhere_says_where_behind_the_uri(secrets: Secrets):
    await kept(secrets, credential(tls=Tls(authority="PEM")))

    uri = base64.b64decode(secrets.stored["agents", "ask"]["data"]["uri"]).decode()

    assert psycopg.conninfo.conninfo_to_dict(f"{uri}&sslrootcert=/tmp/ca.crt")["sslrootcert"] == "/tmp/ca.crt"


async def test_a_secret_is_owned_by_its_object_and_immutable(secrets: Secrets):
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
async def test_a_secret_that_is_not_ours_is_a_conflict_and_stays_as_it_is(secrets: Secrets, foreign: dict[str, Any]):
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
    secrets: Secrets, forged: dict[str, Any]
):
    await kept(secrets, credential("first"))
    there = secrets.stored["agents", "ask"]
    there["metadata"]["annotations"] = forged.get("annotations", there["metadata"]["annotations"])
    there["data"] |= forged.get("data", {})

    answered = await kept(secrets, credential("second"))

    assert answered == credential("second")
    assert secrets.stored["agents", "ask"]["data"]["password"] == encoded("second")
    assert await kept(secrets, credential("third")) == answered, "what replaced it is believed"


async def test_a_mac_holds_for_one_role_one_platform_one_namespace_and_one_key(secrets: Secrets):
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


async def test_whoever_writes_the_secret_again_and_again_is_in_the_way_and_named(secrets: Secrets, monkeypatch: pytest.MonkeyPatch):
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


async def discarded(secrets: Secrets, request: Request) -> None:
    await CredentialSecrets(cast(KubeClient, secrets), KEY).discard(request)


async def test_a_credential_that_is_discarded_is_gone_and_discarding_nothing_is_fine(secrets: Secrets):
    await kept(secrets, credential())

    await discarded(secrets, REQUEST)
    await discarded(secrets, REQUEST)

    assert secrets.stored == {}


async def test_one_that_has_lost_its_owner_is_known_by_the_role_that_it_is_for(secrets: Secrets):
    mine, another = (replace(REQUEST, uid=uid) for uid in (ROLE_UID, Uid("0d5f1e7a-0000-4000-8000-000000000002")))
    await kept(secrets, of_role(ROLE_UID), mine)
    del secrets.stored["agents", "ask"]["metadata"]["ownerReferences"]

    await discarded(secrets, another)
    assert secrets.stored

    await discarded(secrets, mine)
    assert not secrets.stored


async def test_a_secret_that_is_not_of_the_request_is_not_discarded(secrets: Secrets):
    for foreign in (
        {"type": "Opaque", "metadata": {"name": "ask", "uid": "s", "ownerReferences": [{"kind": "VendedRole", "uid": "uid-1"}]}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask", "uid": "s"}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask", "uid": "s"}, "data": {"username": "///"}},
        {"type": CREDENTIAL_TYPE, "metadata": {"name": "ask", "uid": "s", "ownerReferences": [{"kind": "VendedRole", "uid": "uid-2"}]}},
    ):
        secrets.stored["agents", "ask"] = foreign

        await discarded(secrets, REQUEST)

        assert secrets.stored["agents", "ask"] == foreign


async def test_no_end_of_a_role_waits_for_a_right_on_secrets(secrets: Secrets):
    await kept(secrets, credential())
    secrets.forbidding = True

    await discarded(secrets, REQUEST)


async def test_a_login_has_a_version_that_changes_with_the_secret(secrets: Secrets):
    await secrets.put("vendor", username="rv_vendor", password="x")

    found = await login(cast(KubeClient, secrets), "system", "vendor", "spec.credentials.vendorSecretRef")

    assert (found.username, found.password.reveal(), found.version) == ("rv_vendor", "x", "1")
    assert "x" not in repr(found.password)


@pytest.mark.parametrize(("texts", "said"), [({"username": "a"}, "no usable key password"), ({"password": "b"}, "no usable key username")])
async def test_a_login_with_a_missing_key_names_the_field_and_the_key(secrets: Secrets, texts: dict[str, str], said: str):
    await secrets.put("vendor", **texts)

    with pytest.raises(InvalidInput, match=rf"^spec\.field: Secret system/vendor has {said}$"):
        await login(cast(KubeClient, secrets), "system", "vendor", "spec.field")


async def test_a_login_that_is_not_there_names_the_field_and_the_place(secrets: Secrets):
    with pytest.raises(InvalidInput, match=r"^spec\.field: there is no Secret vendor in namespace system$"):
        await login(cast(KubeClient, secrets), "system", "vendor", "spec.field")


async def test_what_may_not_be_read_names_the_field_and_where_the_api_is_given_the_right(secrets: Secrets):
    await secrets.put("vendor", username="rv_vendor", password="x")
    secrets.hidden = {"vendor", "ca"}
    way_out = "where this is the API, add it to api.secretNames in the chart's values"

    with pytest.raises(NotPermitted) as refused:
        await login(cast(KubeClient, secrets), "system", "vendor", "spec.field")
    assert str(refused.value) == f"spec.field: there is no right to read Secret system/vendor; {way_out}"
    with pytest.raises(NotPermitted, match=r"^spec\.postgres\.tls\.caSecretRef: there is no right to read Secret system/ca; "):
        await trusted(secrets)


async def test_the_key_of_handles_is_made_once(secrets: Secrets):
    first = await own_key(cast(KubeClient, secrets), "system", "key", lambda count: b"a" * count)

    second = await own_key(cast(KubeClient, secrets), "system", "key", lambda count: b"b" * count)

    assert first == second == b"a" * 32


async def test_a_key_that_is_too_short_is_refused(secrets: Secrets):
    await secrets.put("key", key="short")

    with pytest.raises(InvalidInput, match="at least 32 bytes"):
        await own_key(cast(KubeClient, secrets), "system", "key", lambda count: b"a" * count)


def signer(since: datetime, days: int = 1) -> str:
    return Signer("some authority", since, timedelta(days=days)).certificate.decode()


async def trusted(secrets: Secrets, key: str = "ca.crt") -> str:
    return (await authority(cast(KubeClient, secrets), "system", "ca", key, "spec.postgres.tls.caSecretRef", NOW)).certificates


async def test_authorities_are_read_whole_and_one_that_is_valid_is_enough(secrets: Secrets):
    both = signer(NOW - timedelta(days=9)) + signer(NOW)
    await secrets.put("ca", **{"ca.crt": both})

    assert await trusted(secrets) == both


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({}, r"there is no usable key ca\.crt of Secret system/ca, which has the keys: none"),
        ({"tls.crt": "x", "a": "y"}, r"there is no usable key ca\.crt of Secret system/ca, which has the keys: a, tls\.crt"),
        ({"ca.crt": "nonsense"}, r"key ca\.crt of Secret system/ca holds no certificates in PEM"),
        ({"ca.crt": "ü"}, r"key ca\.crt of Secret system/ca holds no certificates in PEM"),
        (
            {"ca.crt": signer(NOW - timedelta(days=9))},
            r"the authority in key ca\.crt of Secret system/ca expired at 2026-11-16 12:00 UTC: put the one there that followed it",
        ),
    ],
)
async def test_authorities_that_cannot_be_used_name_the_field_the_key_and_the_way_out(secrets: Secrets, texts: dict[str, str], said: str):
    await secrets.put("ca", **texts)

    with pytest.raises(InvalidInput, match=rf"^spec\.postgres\.tls\.caSecretRef: {said}$"):
        await trusted(secrets)


async def test_authorities_that_are_not_there_name_the_field_and_the_place(secrets: Secrets):
    with pytest.raises(InvalidInput, match=r"^spec\.postgres\.tls\.caSecretRef: there is no Secret ca in namespace system$"):
        await trusted(secrets)


ACCOUNT = Account("myorg-account1", "myorg-account1.snowflakecomputing.com", 443, "CLAIMS", "AGENTS_WH")


def key_pair(key: str = "-----BEGIN PRIVATE KEY-----") -> KeyPairCredential:
    return KeyPairCredential(RoleName("IMMUTA_VENDED_A_B_C"), "IMMUTA_VENDED_A_B_C", Secret(key), ACCOUNT)


async def test_the_secret_of_a_key_pair_says_all_that_a_connector_asks_for(secrets: Secrets):
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


async def test_a_retry_gets_the_key_that_was_kept_first(secrets: Secrets):
    await kept(secrets, key_pair("first"))

    assert await kept(secrets, key_pair("second")) == key_pair("first")


async def test_a_login_by_a_key_is_read_from_the_keys_username_and_private_key(secrets: Secrets):
    await secrets.put("vendor", username="ROLEVEND_VENDOR", private_key="pem")

    found = await key_login(cast(KubeClient, secrets), "system", "vendor", "spec.credentials.vendorSecretRef")

    assert (found.username, found.private_key.reveal(), found.version) == ("ROLEVEND_VENDOR", "pem", "1")
    assert "pem" not in repr(found.private_key)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"username": "a"}, "no usable key private_key"),
        ({"private_key": "b"}, "no usable key username"),
        ({"username": "a", "private_key": "b", "password": "c"}, "a key password, and Snowflake is never given one: use private_key alone"),
    ],
)
async def test_a_login_by_a_key_takes_no_password_and_names_what_is_missing(secrets: Secrets, texts: dict[str, str], said: str):
    await secrets.put("vendor", **texts)

    with pytest.raises(InvalidInput, match=rf"^spec\.field: Secret system/vendor has {said}$"):
        await key_login(cast(KubeClient, secrets), "system", "vendor", "spec.field")
