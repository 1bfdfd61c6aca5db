"""Secrets: credentials are created and never overwritten, logins are read whole or refused with the field that names them."""

import base64
from datetime import UTC, datetime
from typing import Any, cast

import psycopg.conninfo
import pytest

from rolevend.errors import Conflict, InvalidInput
from rolevend.kube.client import AlreadyExists, Cluster, NotFound, Resource
from rolevend.kube.secrets import CREDENTIAL_TYPE, CredentialSecrets, handle_key, login
from rolevend.model import ObjectName, PlatformName, RoleName, Uid, User
from rolevend.platforms.base import Address, Credential, Secret
from rolevend.vending.directory import Request

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

    async def get(self, resource: Resource, name: str, namespace: str) -> dict[str, Any]:
        if (namespace, name) not in self.stored:
            raise NotFound(name)
        return self.stored[namespace, name]

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str) -> dict[str, Any]:
        key = namespace, body["metadata"]["name"]
        if key in self.stored:
            raise AlreadyExists(key[1])
        texts = {name: base64.b64encode(text.encode()).decode() for name, text in body.get("stringData", {}).items()}
        metadata = {**body["metadata"], "resourceVersion": "1"}
        self.stored[key] = {**body, "metadata": metadata, "data": {**body.get("data", {}), **texts}}
        return self.stored[key]

    async def put(self, name: str, **texts: str) -> None:
        await self.create(Resource("", ""), {"metadata": {"name": name}, "stringData": texts}, "system")


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


def credential(password: str = "p@ss/word:#?&=%", host: str = "db.example.org", database: str = "claims") -> Credential:
    return Credential(RoleName("IMMUTA_VENDED_A_B_C"), Secret(password), Address(host, 5432, database))


async def kept(secrets: Secrets, fresh: Credential, request: Request = REQUEST) -> Credential:
    return await CredentialSecrets(cast(Cluster, secrets)).keep(request, fresh, NOW)


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
    for key, member in (("user", "username"), ("password", "password"), ("host", "host"), ("port", "port"), ("dbname", "dbname")):
        assert parsed[key] == data[member]


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


async def test_a_login_has_a_version_that_changes_with_the_secret(secrets: Secrets):
    await secrets.put("vendor", username="rv_vendor", password="x")

    found = await login(cast(Cluster, secrets), "system", "vendor", "spec.credentials.vendorSecretRef")

    assert (found.username, found.password.reveal(), found.version) == ("rv_vendor", "x", "1")
    assert "x" not in repr(found.password)


@pytest.mark.parametrize(("texts", "said"), [({"username": "a"}, "no usable key password"), ({"password": "b"}, "no usable key username")])
async def test_a_login_with_a_missing_key_names_the_field_and_the_key(secrets: Secrets, texts: dict[str, str], said: str):
    await secrets.put("vendor", **texts)

    with pytest.raises(InvalidInput, match=rf"^spec\.field: Secret system/vendor has {said}$"):
        await login(cast(Cluster, secrets), "system", "vendor", "spec.field")


async def test_a_login_that_is_not_there_names_the_field_and_the_place(secrets: Secrets):
    with pytest.raises(InvalidInput, match=r"^spec\.field: there is no Secret vendor in namespace system$"):
        await login(cast(Cluster, secrets), "system", "vendor", "spec.field")


async def test_the_key_of_handles_is_made_once(secrets: Secrets):
    first = await handle_key(cast(Cluster, secrets), "system", "key", lambda count: b"a" * count)

    second = await handle_key(cast(Cluster, secrets), "system", "key", lambda count: b"b" * count)

    assert first == second == b"a" * 32


async def test_a_key_that_is_too_short_is_refused(secrets: Secrets):
    await secrets.put("key", key="short")

    with pytest.raises(InvalidInput, match="at least 32 bytes"):
        await handle_key(cast(Cluster, secrets), "system", "key", lambda count: b"a" * count)
