"""Tests of the checks that every platform has: what a role reads, and how it ends. A driver lists them under their names.

Each returns "" if the promise holds, else the observation: see `checks.Check.test`.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from rolevend.errors import Conflict, PlatformUnavailable, Unavailable
from rolevend.model import Uid
from rolevend.platforms.attestation.canaries import Canaries, Canary
from rolevend.platforms.attestation.checks import NotAsExpected
from rolevend.platforms.attestation.tables import CODES, WITHHELD
from rolevend.platforms.protocol import DropRequest, EndReason

AnyCanaries = Canaries[Any, Any]
Test = Callable[[AnyCanaries], str]

HOSTILE = (
    *("' OR true --", "') OR ('1'='1", '"; DROP TABLE people; --', "{eu,us}", '["eu","us"]'),
    *("\\", "\\'", "%", "☃", "$$"),
)
LEAKY: Mapping[str, LiteralString] = {
    "divide by zero on a hidden row": "SELECT id FROM people WHERE 1 / (id - 3) > 5",
    "divide by zero on a hidden cell": "SELECT id FROM people WHERE 1 / (CASE ssn WHEN {ssn_text} THEN 0 ELSE 1 END) > 5",
    "look with CASE first": "SELECT 1 AS a FROM people WHERE CASE WHEN id = 3 THEN 1 / (id - 3) ELSE 0 END > 5",
    "aggregate over hidden rows": "SELECT 1 AS a FROM people HAVING sum(1 / (id - 3)) > 5",
}
"""Statements that no visible row answers. A hidden row would answer them, or cause an error."""


def exactly(found: Sequence[object], wanted: Sequence[object]) -> str:
    """Compare two lists of ids. Raises `NotAsExpected` where rows are missing and no other row is shown."""
    observed = "" if found == wanted else f"shows the rows {found}, and may show {' and '.join(map(str, wanted))}"
    if observed and set(found) <= set(wanted) and len(found) <= len(wanted):
        raise NotAsExpected(observed)
    return observed


def shows_nothing(canaries: AnyCanaries, session: Any, statement: LiteralString = "SELECT * FROM people") -> str:
    rows = canaries.values(session, statement)
    return f"shows {len(rows)} rows" if rows else ""


def ids(canaries: AnyCanaries, session: Any, statement: LiteralString = "SELECT id FROM people ORDER BY id") -> list[int]:
    return [int(number) for (number,) in canaries.values(session, statement)]


def permitted_rows(canaries: AnyCanaries) -> str:
    """The login has the user's defaults alone, such as the schema of its views."""
    return exactly(ids(canaries, canaries.session), [0, 1])


def two_users(canaries: AnyCanaries) -> str:
    """Both send the same text, so that a cached answer of one user could be given to the other one."""
    for _ in range(2):
        for session, region in ((canaries.session, "eu"), (canaries.bobs_session, "us")):
            found = {name for (name,) in canaries.values(session, "SELECT region FROM people")}
            if found - {canaries.region(region)}:
                return f"who may see one region sees {len(found)}"
            if not found:
                raise NotAsExpected("who may see one region sees none")
    return ""


def no_attribute(canaries: AnyCanaries) -> str:
    return shows_nothing(canaries, canaries.vended(canaries.profiles.shared, "NOBODY"))


def hostile_attributes(canaries: AnyCanaries) -> str:
    return shows_nothing(canaries, canaries.vended(canaries.profiles.shared, "MALLORY", regions=HOSTILE))


def cells(canaries: AnyCanaries) -> str:
    session = canaries.vended(canaries.profiles.mixed, "DAN")
    found = canaries.values(session, "SELECT id, email, ssn, code FROM people ORDER BY id")
    wanted = [(0, f"p0@{canaries.token}.example", WITHHELD, None), (2, None, f"ssn-{canaries.token}-2", CODES[2])]
    return "" if found == wanted else "a cell is shown that no grant of its row shows, or one is missing"


def _mask(column: LiteralString, *wanted: object) -> Test:
    """Return a test of one column of the two visible rows."""

    def test(canaries: AnyCanaries) -> str:
        found = [value for (value,) in canaries.values(canaries.session, f"SELECT {column} FROM people ORDER BY id")]  # noqa: S608 - a name of ours
        if found != list(wanted) and set(found) <= {None}:
            raise NotAsExpected("the column shows nothing")
        return "" if found == list(wanted) else "the column does not show what its mask says"

    return test


def _hash(canaries: AnyCanaries) -> str:
    found = [value for (value,) in canaries.values(canaries.session, "SELECT email FROM people ORDER BY id")]
    plain = hashlib.sha256(f"p0@{canaries.token}.example".encode()).hexdigest()
    if not all(isinstance(value, str) and len(value) == 64 for value in found) or not len(found) == len(set(found)) == 2:
        return "the column does not show what its mask says"
    return "the hash is made without a secret" if found[0] == plain else ""


MASKS: Mapping[str, Test] = {
    "mask Hash": _hash,
    "mask Nullify": _mask("ssn", None, None),
    "mask Partial": _mask("code", "***5678", "***567"),
    "mask Round": _mask("amount", Decimal(1200), Decimal(-1200)),
    "mask Regex": _mask("phone", "+## ## ####", "***"),
    "mask DateTrunc": _mask("born", date(1980, 1, 1), date(1981, 1, 1)),
    "mask Constant": _mask("note", WITHHELD, WITHHELD),
}


def soon_expired(canaries: AnyCanaries) -> object:
    """For `Check.ahead`: the canary expires while other checks run."""
    return canaries.expiring


def ask_after_expiry(canaries: AnyCanaries) -> str:
    canaries.wait_for_expiry()
    return canaries.answered(canaries.expiring.session)


def transaction_over_expiry(canaries: AnyCanaries) -> str:
    canaries.wait_for_expiry()
    return canaries.answered(canaries.expiring.in_transaction)


def released_role_is_gone(canaries: AnyCanaries) -> str:
    released = canaries.released
    if isinstance(released.dropped.error, PlatformUnavailable):
        raise released.dropped.error
    if released.dropped.error is not None:
        return str(released.dropped.error)
    role = released.canary.lease.role
    listed = any(live.role == role for live in canaries.environment.platform.live())
    return "the role, or a session of it, is still there" if listed or canaries.has_role(role) else ""


def session_over_release(canaries: AnyCanaries) -> str:
    return canaries.survived(canaries.released.idle)


def statement_over_release(canaries: AnyCanaries) -> str:
    try:
        return canaries.outcome_of_running(canaries.released.running)
    except TimeoutError:
        return "continues"


def login_after_release(canaries: AnyCanaries) -> str:
    return "was let in" if canaries.lets_in(canaries.released.canary) else ""


def vend_after_release(canaries: AnyCanaries) -> str:
    return _conflict(canaries, canaries.released.canary)


def vend_after_early_end(canaries: AnyCanaries) -> str:
    """The drop arrives before the vend."""
    canary = canaries.unvended(canaries.lease(canaries.profiles.brief, "LATE"))
    if (error := canaries.drop(canary).error) is not None:
        return str(error)
    return _conflict(canaries, canary)


def drop_with_another_uid(canaries: AnyCanaries) -> str:
    request = DropRequest(canaries.bob.lease.role, Uid("another"), EndReason.REVOKED)
    (answer,) = canaries.environment.platform.drop([request])
    return _refused(answer.error, "was dropped for another uid")


def _conflict(canaries: AnyCanaries, canary: Canary[Any]) -> str:
    return _refused(canaries.vend_error(canary), "was vended")


def _refused(error: Exception | None, done: str) -> str:
    """Raises `Unavailable`: the request was not decided."""
    if isinstance(error, Unavailable):
        raise error
    if error is None:
        return done
    return "" if isinstance(error, Conflict) else str(error)
