"""A user's token is read from a Secret of its own type, and from no other."""

from typing import cast

import pytest

from rolevend.errors import InvalidInput, NotPermitted
from rolevend.kube.client import KubeClient
from rolevend.kube.user_tokens import USER_TOKEN_TYPE, user_token
from tests.support.secrets import SecretStore

FIELD = "spec.userTokenSecretRef"


@pytest.fixture
def secrets() -> SecretStore:
    return SecretStore()


async def read(secrets: SecretStore) -> str:
    return (await user_token(cast(KubeClient, secrets), "system", "anna", "token", FIELD)).reveal()


async def test_a_token_is_read_without_the_spaces_around_it(secrets: SecretStore):
    await secrets.put("anna", USER_TOKEN_TYPE, token=" text\n")

    assert await read(secrets) == "text"


@pytest.mark.parametrize("type_", ["Opaque", "kubernetes.io/tls"])
async def test_a_secret_of_another_type_is_not_disclosed(secrets: SecretStore, type_: str):
    await secrets.put("anna", type_, token="text")

    with pytest.raises(InvalidInput, match=rf"^{FIELD}: Secret system/anna is not of type {USER_TOKEN_TYPE}, and nothing else is read"):
        await read(secrets)


@pytest.mark.parametrize("texts", [{}, {"token": " \n"}, {"another": "text"}])
async def test_a_secret_without_a_token_names_the_field_and_the_key(secrets: SecretStore, texts: dict[str, str]):
    await secrets.put("anna", USER_TOKEN_TYPE, **texts)

    with pytest.raises(InvalidInput, match=f"^{FIELD}: Secret system/anna has no usable key token$"):
        await read(secrets)


async def test_a_secret_that_does_not_exist_names_the_field(secrets: SecretStore):
    with pytest.raises(InvalidInput, match=f"^{FIELD}: there is no Secret anna in namespace system$"):
        await read(secrets)


async def test_a_secret_that_may_not_be_read_names_the_way_out(secrets: SecretStore):
    secrets.hidden = {"anna"}

    with pytest.raises(NotPermitted, match="the operator may not read Secrets in namespace system: add it to agentNamespaces"):
        await read(secrets)
