"""Certificate authorities are read whole, or refused with the field, the key and the way out."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from rolevend.errors import InvalidInput, NotPermitted
from rolevend.kube.certificate_authorities import authority
from rolevend.kube.client import KubeClient
from rolevend.policytools.embedded.certificates import CertificateAuthority as Signer
from tests.support.secrets import SecretStore

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def secrets() -> SecretStore:
    return SecretStore()


def signer(since: datetime, days: int = 1) -> str:
    return Signer("some authority", since, timedelta(days=days)).certificate.decode()


async def trusted(secrets: SecretStore, key: str = "ca.crt") -> str:
    return (await authority(cast(KubeClient, secrets), "system", "ca", key, "spec.postgres.tls.caSecretRef", NOW)).certificates


async def test_authorities_are_read_whole_and_one_that_is_valid_is_enough(secrets: SecretStore):
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
async def test_authorities_that_cannot_be_used_name_the_field_the_key_and_the_way_out(
    secrets: SecretStore, texts: dict[str, str], said: str
):
    await secrets.put("ca", **texts)

    with pytest.raises(InvalidInput, match=rf"^spec\.postgres\.tls\.caSecretRef: {said}$"):
        await trusted(secrets)


async def test_authorities_that_are_not_there_name_the_field_and_the_place(secrets: SecretStore):
    with pytest.raises(InvalidInput, match=r"^spec\.postgres\.tls\.caSecretRef: there is no Secret ca in namespace system$"):
        await trusted(secrets)


async def test_authorities_that_may_not_be_read_name_the_field(secrets: SecretStore):
    secrets.hidden = {"ca"}

    with pytest.raises(NotPermitted, match=r"^spec\.postgres\.tls\.caSecretRef: there is no right to read Secret system/ca; "):
        await trusted(secrets)
