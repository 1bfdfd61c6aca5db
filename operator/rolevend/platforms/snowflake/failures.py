"""Translate errors of Snowflake and its connector. The only table from vendor code to error class.

Messages contain only the server's first line: the rest may quote the statement, and with it values.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from snowflake.connector import errors as vendor

from rolevend.errors import (
    InvalidInput,
    PlatformBusy,
    PlatformLocked,
    PlatformUnavailable,
    RolevendError,
    UntrustedServer,
)

ALREADY_EXISTS = 2002
NOT_THERE = 2003
"""It does not exist or is not visible."""
NOT_PERMITTED = 3001
NOT_NULL = 100072
"""A guard of rolevend: see `vends.insert_lease` and `drops.close`."""
ONE_OF_SEVERAL = 100132
NO_WAREHOUSE = frozenset({606, 609, 90073})
OTHER_ROW_POLICY = 3551
POLICY_IN_USE = 3557

SESSION_GONE = frozenset({390104, 390110, 390111, 390112, 390114, 390115, 390195})
"""The session or its tokens expired, as after four idle hours: a new login resolves it."""

_BY_CODE: dict[int, type[RolevendError]] = {
    606: PlatformUnavailable,  # no active warehouse selected
    609: PlatformBusy,  # the warehouse is suspended, and does not resume by itself
    630: PlatformBusy,  # statement reached its timeout
    604: PlatformBusy,  # statement was cancelled
    625: PlatformLocked,  # number of waiters for the lock exceeds 20
    1003: PlatformBusy,  # SQL compilation error: something there is not what the catalog said; the next decision reads it again
    2003: PlatformBusy,  # does not exist or not authorized
    2043: PlatformBusy,  # the same, of what another statement refers to
    2002: PlatformBusy,  # already exists: somebody else's, or ours from a moment ago
    3001: PlatformUnavailable,  # insufficient privileges: the installation is not what we need
    3540: PlatformUnavailable,  # masking and row access policies are not enabled: Standard Edition
    90073: PlatformUnavailable,  # the warehouse cannot be resumed: its resource monitor is at its quota
    100072: PlatformBusy,  # our own guard, where nobody found out why
    390100: PlatformUnavailable,  # incorrect username or password
    390101: PlatformUnavailable,  # user is disabled
    390102: PlatformUnavailable,  # user is locked
    390144: PlatformUnavailable,  # JWT token is invalid: another key, an expired one, or a clock that is wrong
    390189: PlatformUnavailable,  # the role that was named is not granted to the user
    390201: PlatformUnavailable,  # the account, database or warehouse does not exist or is not authorized
    390420: PlatformUnavailable,  # incoming request is not allowed by a network policy
    390422: PlatformUnavailable,  # the same
}
_WAYS_OUT: dict[int, str] = {
    606: "spec.snowflake.warehouse must name a warehouse that RV_VENDOR and RV_PROGRAMMER may use, and that runs or has AUTO_RESUME",
    609: "the warehouse of spec.snowflake.warehouse must run, or have AUTO_RESUME",
    3001: "run the script of rolevend platform plan again",
    3540: "row access and masking policies need Enterprise Edition: nothing can be governed in this account",
    90073: "its resource monitor must let the warehouse run",
    390101: "an administrator has disabled the login",
    390144: "the private key of the Secret must belong to the RSA_PUBLIC_KEY of the user, and both clocks must agree",
    390420: "its network policy must let the operator in",
    390422: "its network policy must let the operator in",
}
_OF_CERTIFICATE = re.compile(r"certificate|UnknownIssuer|NotValidForName|self.signed", re.IGNORECASE)
_WITHIN = re.compile(r"\(at line \d+, position \d+\)\.\n(.*?)(?: in SYSTEM\$MULTISTMT at |\Z)", re.DOTALL)
_CODES_BY_WORDS = tuple(
    (re.compile(pattern), code)
    for pattern, code in (
        (r"Object '.*' already exists", ALREADY_EXISTS),
        (r"does not exist or not authorized", NOT_THERE),
        (r"NULL result in a non-nullable column", NOT_NULL),
        (r"Insufficient privileges to operate on", 3001),
        (r"No active warehouse selected", 606),
        (r"already has a ROW_ACCESS_POLICY", OTHER_ROW_POLICY),
        (r"number of waiters for this lock exceeds", 625),
        (r"SQL execution canceled", 604),
        (r"reached its statement or warehouse timeout", 630),
        (r"syntax error", 1003),
    )
)
_UNFETCHED = re.compile(r"^Failed to fetch result set")
"""The connector's message, under a generic code: the statement completed, but its rows were not fetched."""
_CODE_AT_FRONT = re.compile(r"^\s*\d{5,6}(?: \([0-9A-Z]{5}\))?:\s*")
_STANDARD_EDITION = re.compile(
    r"unsupported feature.*(ROW ACCESS|MASKING) POLICY|(ROW ACCESS|MASKING) POLICY.*not (enabled|supported)", re.IGNORECASE
)


def code_of(error: vendor.Error) -> int | None:
    """Return the code; for a request with several statements that of the failed one."""
    code = error.errno if isinstance(error.errno, int) and error.errno > 0 else None
    return _code_in_text(error) or code if code == ONE_OF_SEVERAL else code


def _code_in_text(error: vendor.Error) -> int | None:
    """Return the code from the text: if one of several statements fails, the number is lost and its message is within another text."""
    words = _words_within(str(error.raw_msg or error))
    return next((code for pattern, code in _CODES_BY_WORDS if pattern.search(words)), None)


def _words_within(text: str) -> str:
    """Return the message of the failed statement, without the start of its text."""
    found = _WITHIN.search(text)
    return found[1] if found else text


def is_lost(error: vendor.Error) -> bool:
    """True if the session is or may be lost, so that the outcome of the statement is unknown."""
    code = code_of(error)
    return (
        code in SESSION_GONE
        or _UNFETCHED.search(str(error.raw_msg or error)) is not None
        or (isinstance(error, vendor.OperationalError | vendor.InterfaceError) and code not in _BY_CODE)
    )


def translated(attempt: str, error: vendor.Error) -> RolevendError:
    """Return the error. `attempt` completes "cannot …": "vend on myorg-account1". An unknown code can be retried."""
    code, line = code_of(error), _first_line(error)
    if _STANDARD_EDITION.search(line):
        return PlatformUnavailable(f"cannot {attempt}: {line} ({code}); {_WAYS_OUT[3540]}")
    if code in _BY_CODE:
        kind = _BY_CODE[code]
        way_out = f"; {_WAYS_OUT[code]}" if code in _WAYS_OUT else ""
        return kind(f"cannot {attempt}: {line} ({code:06d}){way_out}")
    if _OF_CERTIFICATE.search(line) and isinstance(error, vendor.OperationalError | vendor.DatabaseError) and code is None:
        return UntrustedServer(f"cannot {attempt}: {line}")
    if isinstance(error, vendor.DataError):
        return InvalidInput("", f"cannot {attempt}: {line}")
    if is_lost(error) or not isinstance(error, vendor.ProgrammingError | vendor.IntegrityError):
        return PlatformUnavailable(f"cannot {attempt}: {line}")
    return PlatformBusy(f"cannot {attempt}: {line}")


@contextmanager
def translating(attempt: str) -> Iterator[None]:
    """Translate the connector's errors in the block, see `translated`."""
    try:
        yield
    except vendor.Error as error:
        raise translated(attempt, error) from error


def _first_line(error: vendor.Error) -> str:
    lines = [line.strip() for line in _words_within(str(error.raw_msg or error)).splitlines() if line.strip()]
    return _CODE_AT_FRONT.sub("", " ".join(lines[:2])) if lines else type(error).__name__
