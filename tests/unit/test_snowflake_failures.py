"""What Snowflake says, as errors that say who can mend it."""

import pytest
from snowflake.connector import errors as vendor

from rolevend.errors import InvalidInput, PlatformBusy, PlatformLocked, PlatformUnavailable, RolevendError, UntrustedServer
from rolevend.platforms.snowflake.failures import is_lost, translated


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            vendor.ProgrammingError("No active warehouse selected in the current session.", errno=606),
            PlatformUnavailable,
            "must name a warehouse",
        ),
        (vendor.ProgrammingError("number of waiters for this lock exceeds 20", errno=625), PlatformLocked, "number of waiters"),
        (vendor.ProgrammingError("Statement reached its statement timeout", errno=630), PlatformBusy, "timeout"),
        (
            vendor.ProgrammingError("SQL access control error:\nInsufficient privileges", errno=3001),
            PlatformUnavailable,
            "run the script of",
        ),
        (vendor.ProgrammingError("Unsupported feature 'ROW ACCESS POLICY'.", errno=2), PlatformUnavailable, "Enterprise Edition"),
        (vendor.DatabaseError("JWT token is invalid.", errno=390144), PlatformUnavailable, "the private key of the Secret must belong"),
        (vendor.DatabaseError("not allowed to access Snowflake", errno=390420), PlatformUnavailable, "network policy must let"),
        (vendor.DatabaseError("User access disabled.", errno=390101), PlatformUnavailable, "disabled the login"),
        (vendor.OperationalError("invalid peer certificate: UnknownIssuer", errno=-1), UntrustedServer, "UnknownIssuer"),
        (vendor.OperationalError("connection refused", errno=250001), PlatformUnavailable, "connection refused"),
        (vendor.DataError("invalid value", errno=100038), InvalidInput, "invalid value"),
        (vendor.ProgrammingError("something new", errno=999999), PlatformBusy, "something new"),
    ],
)
def test_each_code_is_an_error_that_says_whether_to_try_again(error: vendor.Error, kind: type[RolevendError], said: str):
    found = translated("vend on myorg-account1", error)
    assert type(found) is kind
    assert str(found).startswith("cannot vend on myorg-account1: ")
    assert said in str(found)
    assert "\n" not in str(found)


def test_a_session_that_ended_is_lost_and_a_refusal_is_not():
    assert is_lost(vendor.ProgrammingError("Authentication token has expired.", errno=390114))
    assert is_lost(vendor.OperationalError("connection reset", errno=-1))
    assert not is_lost(vendor.ProgrammingError("does not exist or not authorized", errno=2003))
