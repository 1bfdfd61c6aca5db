"""Tokens of a cluster's ServiceAccounts: the claims of Kubernetes, and the cluster's review. Pure."""

import re
from dataclasses import dataclass
from typing import Any, Final, assert_never

from rolevend.identity.proven import Pod, ServiceAccount
from rolevend.identity.provider import Provider
from rolevend.identity.refusal import Code, TokenRefused
from rolevend.model import ObjectName, Uid

CLAIM: Final = "kubernetes.io"
SERVICE_ACCOUNT: Final = "system:serviceaccount:"
"""The user names of ServiceAccounts begin so."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The cluster accepts the token for this account."""

    username: str
    uid: str
    audiences: frozenset[str]
    """The requested audiences that the token has."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The cluster rejects the token."""


Review = Authenticated | NotTaken


def service_account(claims: dict[str, Any], subject: str) -> ServiceAccount:
    """Read the claims of the account. Raises TokenRefused if they are inconsistent."""
    bound = _object(claims, CLAIM)
    account = _object(bound, "serviceaccount")
    name = ObjectName(_matching(bound, "namespace", _NAME), _matching(account, "name", _NAME))
    if subject != username(name):
        raise TokenRefused(Code.MALFORMED_CLAIM, f"the token's sub is not the ServiceAccount that {CLAIM} names")
    return ServiceAccount(name, Uid(_matching(account, "uid", _UID)), _pod(bound))


def username(name: ObjectName) -> str:
    return f"{SERVICE_ACCOUNT}{name.namespace}:{name.name}"


def require_agreement(review: Review, account: ServiceAccount, provider: Provider) -> None:
    """Require that the review agrees with the claims. Raises TokenRefused."""
    match review:
        case NotTaken():
            raise TokenRefused(Code.NOT_AUTHENTICATED, "the cluster rejects the token: its pod or ServiceAccount may be gone")
        case Authenticated(who, uid, audiences):
            if not audiences & provider.audiences:
                raise TokenRefused(Code.WRONG_AUDIENCE, "the cluster says that the token is not for rolevend")
            if (who, uid) != (username(account.name), account.uid):
                raise TokenRefused(Code.ANOTHER_ACCOUNT, "the cluster says that the token is of another ServiceAccount")
        case _:
            assert_never(review)


def _pod(bound: dict[str, Any]) -> Pod | None:
    if "pod" not in bound:
        return None
    pod = _object(bound, "pod")
    return Pod(_matching(pod, "name", _NAME), Uid(_matching(pod, "uid", _UID)))


def _object(claims: dict[str, Any], name: str) -> dict[str, Any]:
    value = claims.get(name)
    if not isinstance(value, dict):
        raise TokenRefused(Code.MALFORMED_CLAIM, f"the token's {name} is no object")
    return value


def _matching(claims: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise TokenRefused(Code.MALFORMED_CLAIM, f"a {name} in the token's {CLAIM} is not as Kubernetes writes it")
    return value
