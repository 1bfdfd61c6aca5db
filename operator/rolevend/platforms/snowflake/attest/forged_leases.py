"""Forged and expired login tokens, which the connector cannot create. They are sent in the same way as the connector sends its own."""

import base64
import http.client
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from rolevend.errors import PlatformUnavailable
from rolevend.platforms.protocol import Account, Secret
from rolevend.platforms.snowflake.vend.keys import public_key

_TIMEOUT = 20.0


def is_let_in(account: Account, user: str, signed_by: Secret, shown: Secret, *, until: timedelta) -> bool:
    """True if a token for `user` with the fingerprint of the key `shown` is accepted. `until` is its expiry, from now."""
    token = _token(account, user, signed_by, shown, until)
    content = {"ACCOUNT_NAME": account.identifier, "LOGIN_NAME": user, "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token}
    connect = http.client.HTTPSConnection if account.encrypted else http.client.HTTPConnection
    connection = connect(account.host, account.port, timeout=_TIMEOUT)
    try:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "rolevend"}
        connection.request("POST", "/session/v1/login-request", json.dumps({"data": content}), headers)
        return json.loads(connection.getresponse().read()).get("success") is True
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise PlatformUnavailable(f"cannot send a forged token to {account.host}: {error}") from error
    finally:
        connection.close()


def _token(account: Account, user: str, signed_by: Secret, shown: Secret, until: timedelta) -> str:
    now = datetime.now(UTC)
    subject = f"{account.identifier}.{user}".upper()
    fingerprint = base64.b64encode(sha256(base64.b64decode(public_key(shown))).digest()).decode()
    ends = now + until
    claims = {"iss": f"{subject}.SHA256:{fingerprint}", "sub": subject, "iat": ends - timedelta(minutes=2), "exp": ends}
    signed = f"{_encoded({'alg': 'RS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    key = serialization.load_pem_private_key(signed_by.reveal().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - for mypy
    return f"{signed}.{_base64(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _encoded(part: dict[str, Any]) -> str:
    times = {key: int(value.timestamp()) if isinstance(value, datetime) else value for key, value in part.items()}
    return _base64(json.dumps(times).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
