"""A DataPlatform gets the driver of its kind, with logins of its kind."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from rolevend.app.drivers import drivers
from rolevend.errors import InvalidInput
from rolevend.kinds import DataPlatform, parse
from rolevend.kube.client import KubeClient
from rolevend.kube.platform_logins import KeyLogin, Login
from rolevend.model import ClusterId
from rolevend.platform_runtime.credentials import KeyPairLogins, PasswordLogins, logins_of
from rolevend.platforms.postgres import PostgresPlatform
from rolevend.platforms.protocol import Secret
from rolevend.platforms.snowflake import SnowflakePlatform
from tests.support.manifests import on_snowflake, valid

NOW = datetime(2026, 9, 1, tzinfo=UTC)
BUILD = drivers(ClusterId("c"), 4)
POSTGRES = parse(DataPlatform, valid("DataPlatform"))
KEY = KeyLogin("ROLEVEND_VENDOR", Secret("pem"), "1")


def snowflake(database: str = "SALES") -> DataPlatform:
    spelled = {"account": "myorg-account1", "database": database, "warehouse": "WH"}
    return parse(DataPlatform, on_snowflake(spelled))


class Secrets:
    """Of the operator's namespace: each has all keys that a login could need, but for passwords, which only PostgreSQL's have."""

    def __init__(self, **texts: str) -> None:
        self._texts = texts

    async def get(self, _: object, name: str, _namespace: str) -> dict[str, Any]:
        from base64 import b64encode

        encoded = {key: b64encode(text.encode()).decode() for key, text in self._texts.items()}
        return {"metadata": {"name": name, "resourceVersion": "7"}, "data": encoded}


async def test_an_account_is_logged_in_to_by_keys_and_a_database_by_passwords():
    pairs = await logins_of(snowflake(), cast(KubeClient, Secrets(username="u", private_key="k")), "system", NOW, programs=True)
    assert isinstance(pairs, KeyPairLogins)
    assert pairs.programmer is not None
    assert pairs.versions == ("7", "7")
    vending = await logins_of(snowflake(), cast(KubeClient, Secrets(username="u", private_key="k")), "system", NOW, programs=False)
    assert isinstance(vending, KeyPairLogins)
    assert (vending.programmer, vending.versions) == (None, (None, "7"))
    with pytest.raises(InvalidInput, match=r"spec\.credentials\.vendorSecretRef: .* has a key password"):
        await logins_of(snowflake(), cast(KubeClient, Secrets(username="u", private_key="k", password="p")), "system", NOW, programs=False)
    passwords = await logins_of(POSTGRES, cast(KubeClient, Secrets(username="u", password="p")), "system", NOW, programs=False)
    assert isinstance(passwords, PasswordLogins)


def test_each_kind_of_platform_has_its_driver():
    login = Login("rv_vendor", Secret("p"), "1")
    made = BUILD(snowflake(), KeyPairLogins(None, KEY)), BUILD(POSTGRES, PasswordLogins(None, login, None))
    assert [type(each) for each in made] == [SnowflakePlatform, PostgresPlatform]
    for each in made:
        each.close()


def test_a_database_of_snowflakes_own_or_ours_is_never_governed():
    for database in ("ROLEVEND", "SNOWFLAKE"):
        with pytest.raises(InvalidInput, match=rf"spec\.snowflake\.database: {database} belongs to Snowflake or to rolevend"):
            BUILD(snowflake(database), KeyPairLogins(None, KEY))


def test_logins_of_another_kind_are_refused():
    with pytest.raises(InvalidInput, match=r"spec\.snowflake: must be set"):
        BUILD(POSTGRES, KeyPairLogins(None, KEY))
