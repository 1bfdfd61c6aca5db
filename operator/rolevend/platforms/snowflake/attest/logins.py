"""Logins of users, and the operator's two logins: the vendor reads nothing and makes nothing but roles of profiles that are built; the
programmer makes profiles and policies, and no role that anybody can log in with."""

import base64
import http.client
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, LiteralString
from uuid import UUID

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from rolevend.errors import InvalidInput, PlatformBusy, PlatformUnavailable
from rolevend.model import ProfileName
from rolevend.plan import Profile
from rolevend.platforms.protocol import Account, Secret
from rolevend.platforms.snowflake.attest.canaries import SnowflakeCanaries, key_of, login_of
from rolevend.platforms.snowflake.attest.check import Trial, trial
from rolevend.platforms.snowflake.attest.session import refused
from rolevend.platforms.snowflake.connections import SnowflakeLogin
from rolevend.platforms.snowflake.vend.keys import new_key, public_key

_TIMEOUT = 20.0
_VENDOR: dict[str, LiteralString] = {
    "read a table": "SELECT * FROM {people_table}",
    "read a view": "SELECT * FROM {people}",
    "read the secret of hashes": "SELECT * FROM {salt}",
    "change a lease": "UPDATE {lease} SET EXPIRES_AT = '2999-01-01' WHERE ROLE = {eve_text}",
    "delete a lease": "DELETE FROM {lease} WHERE ROLE = {eve_text}",
    "write a profile": "INSERT INTO {built} (PROFILE, CLUSTER, TABLES) VALUES ('p', 'c', '[]')",
    "take policies off": "ALTER TABLE {guarded_table} DROP ALL ROW ACCESS POLICIES",
    "become the programmer": "USE ROLE {programmer_role}",
    "become an administrator": "USE ROLE ACCOUNTADMIN",
    "take the programmer's role": "GRANT ROLE {programmer_role} TO ROLE {vendor_role}",
    "take the marker from a profile": "REVOKE ROLE {marker} FROM ROLE {profile}",
    "change the programmer's key": "ALTER USER {programmer} SET RSA_PUBLIC_KEY = 'x'",
    "stop the reaper": "ALTER TASK {database}.CONTROL.REAPER SUSPEND",
    "replace the reaper": "CREATE OR REPLACE PROCEDURE {database}.CONTROL.REAP() RETURNS INTEGER LANGUAGE SQL AS 'BEGIN RETURN 1; END'",
    "create a schema": "CREATE SCHEMA {database}.RV_CANARY_MINE",
    "lend what is to come": "GRANT SELECT ON FUTURE TABLES IN SCHEMA {schema} TO ROLE {eve}",
}
_PROGRAMMER: dict[str, LiteralString] = {
    "write a lease": "INSERT INTO {lease} (ROLE, EVENT, CLUSTER, UID) VALUES ({eve_text}, 'VENDED', 'c', 'u')",
    "change a lease": "UPDATE {lease} SET EXPIRES_AT = '2999-01-01' WHERE ROLE = {eve_text}",
    "create a user": "CREATE USER {my_role}",
    "change the vendor's key": "ALTER USER {vendor} SET RSA_PUBLIC_KEY = 'x'",
    "change the key of a vended user": "ALTER USER {eve} SET RSA_PUBLIC_KEY = 'x'",
    "drop a vended role": "DROP ROLE {eve}",
    "become the vendor": "USE ROLE {vendor_role}",
    "become a vended role": "USE ROLE {eve}",
    "become an administrator": "USE ROLE ACCOUNTADMIN",
    "take a vended role": "GRANT ROLE {eve} TO USER {programmer}",
    "replace the secret of hashes": "UPDATE {salt} SET SALT = SALT",
}
_ASSUMED = {"lend what is to come": ("R22",)}


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


def _refused(who: str, what: str, statement: LiteralString) -> Trial:
    def test(canaries: SnowflakeCanaries) -> str:
        session = canaries.vendor if who == "vendor" else canaries.programmer
        return refused(session, canaries.filled(statement))

    return trial(f"{who}: {what}", test, *_ASSUMED.get(what, ()))


def _another_key(canaries: SnowflakeCanaries) -> str:
    return "was let in" if canaries.lets_in_as(SnowflakeLogin(canaries.eve.credential.user, new_key(), is_generated=True)) else ""


def _own_key_for_another(canaries: SnowflakeCanaries) -> str:
    key = key_of(canaries.eve)
    others = (canaries.bob.credential.user, canaries.environment.vendor.user, canaries.environment.programmer.user)
    inside = [user for user in others if canaries.lets_in_as(SnowflakeLogin(user, key, is_generated=True))]
    return f"was let in as {inside[0]}" if inside else ""


def _another_role(canaries: SnowflakeCanaries) -> str:
    login = login_of(canaries.eve)
    others = (canaries.bob.lease.role, "RV_PROGRAMMER", "ACCOUNTADMIN")
    inside = [role for role in others if canaries.lets_in_as(login, role=role)]
    return f"was let in with {inside[0]}" if inside else ""


def _forged(canaries: SnowflakeCanaries) -> str:
    """A token with the fingerprint of the right key, and the signature of another one."""
    user, key = canaries.eve.credential.user, key_of(canaries.eve)
    taken = is_let_in(canaries.environment.account, user, new_key(), key, until=timedelta(minutes=1))
    return "was let in" if taken else _proof(canaries)


def _over(canaries: SnowflakeCanaries) -> str:
    user, key = canaries.eve.credential.user, key_of(canaries.eve)
    taken = is_let_in(canaries.environment.account, user, key, key, until=timedelta(hours=-1))
    return "was let in" if taken else _proof(canaries)


def _proof(canaries: SnowflakeCanaries) -> str:
    """A correct token of the same form is accepted, so that the refusal has no other reason."""
    user, key = canaries.eve.credential.user, key_of(canaries.eve)
    taken = is_let_in(canaries.environment.account, user, key, key, until=timedelta(minutes=1))
    return "" if taken else "cannot be tried: Snowflake accepts no token that the operator signs itself"


def _no_role_at_all(canaries: SnowflakeCanaries) -> str:
    """The role holds its profile and nothing else, as the driver checks after each vend."""
    held = canaries.held_by(canaries.eve)
    return "" if len(held) == 1 and held[0][0] == "USAGE" else f"holds {len(held)} things"


def _unfit(what: str, seconds: float, *kinds: type[Exception], built: bool = True) -> Trial:
    def test(canaries: SnowflakeCanaries) -> str:
        shared = canaries.profiles.shared
        other = Profile(ProfileName(f"rv_p_canary{UUID(bytes=canaries.environment.randomness(16)).hex}"), shared.tables)
        lease = canaries.lease(shared if built else other, "UNFIT", seconds)
        platform = canaries.environment.platform
        (answer,) = platform.vend([(lease, platform.credential(lease, canaries.environment.randomness))])
        if answer.error is None:
            return "was vended"
        if any(each.role == lease.role for each in platform.live()):
            return "leaves a role behind"
        return "" if isinstance(answer.error, kinds) else str(answer.error)

    return trial(f"vendor: vend {what}", test, "D3")


TRIALS = (
    trial("log in with another key", _another_key, "W2", "W3"),
    trial("log in as another user with its own key", _own_key_for_another, "W2", "W3"),
    trial("log in with another role", _another_role, "W11"),
    trial("log in with a token that another key signed", _forged, "W1", "W2"),
    trial("log in with a token that is over", _over, "W4"),
    trial("a vended role holds its profile and nothing else", _no_role_at_all, "R33"),
    _unfit("for a time that is over", -1, InvalidInput),
    _unfit("for too long", 26 * 3600, InvalidInput),
    _unfit("a role of a profile that is not built", 300, PlatformBusy, built=False),
    *(_refused("vendor", what, statement) for what, statement in _VENDOR.items()),
    *(_refused("programmer", what, statement) for what, statement in _PROGRAMMER.items()),
)
