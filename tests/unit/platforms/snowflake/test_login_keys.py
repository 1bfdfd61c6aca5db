"""The private key of a login is checked unless rolevend generated it, and is never shown."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rolevend.app.drivers import drivers
from rolevend.errors import InvalidInput
from rolevend.kinds import DataPlatform, parse
from rolevend.kube.platform_logins import KeyLogin
from rolevend.model import ClusterId
from rolevend.platform_runtime.credentials import KeyPairLogins
from rolevend.platforms.protocol import Platform, Secret
from rolevend.platforms.snowflake import SnowflakeLogin
from rolevend.platforms.snowflake.vend.keys import new_key
from tests.support.manifests import on_snowflake

SNOWFLAKE = parse(DataPlatform, on_snowflake({"account": "myorg-account1", "database": "SALES", "warehouse": "WH"}))
PARTS: dict[str, Callable[[rsa.RSAPrivateNumbers], dict[str, Any]]] = {
    "private exponent": lambda key: {"d": key.d + 2},
    "exponent of a prime": lambda key: {"dmp1": key.dmp1 + 2},
    "coefficient": lambda key: {"iqmp": key.iqmp + 1},
}


def pem(key: rsa.RSAPrivateKey) -> Secret:
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Secret(encoded.decode())


@pytest.fixture(params=PARTS)
def inconsistent(request: pytest.FixtureRequest) -> Secret:
    """A key that is well-formed, of which one part does not belong to the others."""
    key = rsa.generate_private_key(65537, 2048).private_numbers()
    parts: dict[str, Any] = {each: getattr(key, each) for each in ("p", "q", "d", "dmp1", "dmq1", "iqmp", "public_numbers")}
    changed = rsa.RSAPrivateNumbers(**parts | PARTS[request.param](key))
    return pem(changed.private_key(unsafe_skip_rsa_key_validation=True))


def driver_with(vendor: Secret, programmer: Secret) -> Platform:
    logins = KeyPairLogins(KeyLogin("ROLEVEND_PROGRAMMER", programmer, "1"), KeyLogin("ROLEVEND_VENDOR", vendor, "1"))
    return drivers(ClusterId("c"), 4)(SNOWFLAKE, logins)


@pytest.mark.parametrize("which", ["vendor", "programmer"])
def test_a_key_of_a_secret_is_checked_at_each_attempt_before_anything_is_sent(inconsistent: Secret, which: str):
    keys = {"vendor": inconsistent, "programmer": new_key()} if which == "vendor" else {"vendor": new_key(), "programmer": inconsistent}
    made = driver_with(**keys)
    try:
        for _ in range(2):
            with pytest.raises(InvalidInput, match="private_key: is no RSA key in PEM") as caught:
                made.live() if which == "vendor" else made.catalog(frozenset({"PUBLIC"}))
            assert inconsistent.reveal().splitlines()[3] not in str(caught.value)
    finally:
        made.close()


def test_a_login_is_not_generated_unless_its_maker_says_so(inconsistent: Secret):
    with pytest.raises(InvalidInput):
        _ = SnowflakeLogin("U", inconsistent).der
    assert SnowflakeLogin("U", inconsistent) != SnowflakeLogin("U", inconsistent, is_generated=True)


@pytest.mark.parametrize("is_generated", [False, True])
def test_a_login_that_was_used_does_not_show_its_key(is_generated: bool):
    login = SnowflakeLogin("U", new_key(), is_generated=is_generated)
    assert login.der
    assert repr(login) == str(login) == f"SnowflakeLogin(user='U', private_key=Secret(…), is_generated={is_generated})"
