"""A login of a platform is read whole, or refused with the field that refers to it."""

from typing import cast

import pytest

from rolevend.errors import InvalidInput, NotPermitted
from rolevend.kube.client import KubeClient
from rolevend.kube.platform_logins import key_login, login
from tests.support.secrets import SecretStore


@pytest.fixture
def secrets() -> SecretStore:
    return SecretStore()


async def test_a_login_has_a_version_that_changes_with_the_secret(secrets: SecretStore):
    await secrets.put("vendor", username="rv_vendor", password="x")

    found = await login(cast(KubeClient, secrets), "system", "vendor", "spec.credentials.vendorSecretRef")

    assert (found.username, found.password.reveal(), found.version) == ("rv_vendor", "x", "1")
    assert "x" not in repr(found.password)


@pytest.mark.parametrize(("texts", "said"), [({"username": "a"}, "no usable key password"), ({"password": "b"}, "no usable key username")])
async def test_a_login_with_a_missing_key_names_the_field_and_the_key(secrets: SecretStore, texts: dict[str, str], said: str):
    await secrets.put("vendor", **texts)

    with pytest.raises(InvalidInput, match=rf"^spec\.field: Secret system/vendor has {said}$"):
        await login(cast(KubeClient, secrets), "system", "vendor", "spec.field")


async def test_a_login_that_is_not_there_names_the_field_and_the_place(secrets: SecretStore):
    with pytest.raises(InvalidInput, match=r"^spec\.field: there is no Secret vendor in namespace system$"):
        await login(cast(KubeClient, secrets), "system", "vendor", "spec.field")


async def test_what_may_not_be_read_names_the_field_and_where_the_api_is_given_the_right(secrets: SecretStore):
    await secrets.put("vendor", username="rv_vendor", password="x")
    secrets.hidden = {"vendor"}
    way_out = "where this is the API, add it to api.secretNames in the chart's values, or bind a Role that reads it"

    with pytest.raises(NotPermitted) as refused:
        await login(cast(KubeClient, secrets), "system", "vendor", "spec.field")
    assert str(refused.value) == f"spec.field: there is no right to read Secret system/vendor; {way_out}"


async def test_a_login_by_a_key_is_read_from_the_keys_username_and_private_key(secrets: SecretStore):
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
async def test_a_login_by_a_key_takes_no_password_and_names_what_is_missing(secrets: SecretStore, texts: dict[str, str], said: str):
    await secrets.put("vendor", **texts)

    with pytest.raises(InvalidInput, match=rf"^spec\.field: Secret system/vendor has {said}$"):
        await key_login(cast(KubeClient, secrets), "system", "vendor", "spec.field")
