"""Login with a key pair: the JWT's signature against the user's public key, its issuer, subject and life."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.switches import Switches

LONGEST_LIFE = 3600
_LEEWAY = 60


class LoginRefused(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def fingerprint(public_key: str) -> str:
    """As Snowflake writes it: ``SHA256:`` and the digest of the DER form."""
    key = load_der_public_key(base64.b64decode(public_key))
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def check_user(user: Thing, now: datetime, switches: Switches) -> None:
    """Whether it may log in at all, by the clock of the account."""
    days = user.settings.get("DAYS_TO_EXPIRY")
    over = isinstance(days, int) and now >= user.created + timedelta(days=days)
    if (switches.disabled_users and user.settings.get("DISABLED")) or (switches.days_to_expiry and over):
        raise LoginRefused("390101", "User access disabled. Contact your local system administrator.")


def check_key_pair(token: str, account: str, user: Thing | None, now: datetime, switches: Switches) -> None:
    """A LoginRefused says no more than Snowflake does. `now` is the machine's time, by which the connector signs."""
    invalid = LoginRefused("390144", "JWT token is invalid.")
    if user is None or not token:
        raise invalid
    keys = [str(user.settings[name]) for name in ("RSA_PUBLIC_KEY", "RSA_PUBLIC_KEY_2") if user.settings.get(name)]
    if not any(_signed(token, account, user.name[0], key, now, switches) for key in keys):
        raise invalid


def _signed(token: str, account: str, user: str, public_key: str, now: datetime, switches: Switches) -> bool:
    subject = f"{account}.{user}".upper()
    try:
        claims = jwt.decode(
            token,
            key=load_der_public_key(base64.b64decode(public_key)),
            algorithms=["RS256"],
            options={
                "verify_signature": switches.signatures,
                "verify_exp": False,
                "verify_iat": False,
                "require": ["iss", "sub", "iat", "exp"],
            },
        )
    except (jwt.InvalidTokenError, ValueError):
        return False
    issued, ends = (datetime.fromtimestamp(claims[name], UTC) for name in ("iat", "exp"))
    named = claims["sub"].upper() == subject and claims["iss"].upper() == f"{subject}.{fingerprint(public_key)}".upper()
    timely = (now - ends).total_seconds() < 0 and (issued - now).total_seconds() < _LEEWAY
    return named and (timely or not switches.token_life) and (ends - issued).total_seconds() <= LONGEST_LIFE
