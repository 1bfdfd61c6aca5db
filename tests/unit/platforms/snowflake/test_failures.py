"""What Snowflake says, as errors that say who can mend it."""

import pytest
from snowflake.connector import errors as vendor

from rolevend.errors import InvalidInput, PlatformBusy, PlatformLocked, PlatformUnavailable, RolevendError, UntrustedServer
from rolevend.platforms.snowflake.failures import code_of, is_lost, translated


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
    assert is_lost(vendor.ProgrammingError("Failed to fetch result set for query_id=d16e82eb: connection closed", errno=-1))
    assert not is_lost(vendor.ProgrammingError("does not exist or not authorized", errno=2003))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("SQL compilation error:\nObject 'X' already exists.", 2002),
        ("SQL compilation error:\nRole 'X' does not exist or not authorized.", 2003),
        ("NULL result in a non-nullable column", 100072),
        ("SQL access control error:\nInsufficient privileges to operate on role 'X'", 3001),
        ("something new", 100132),
    ],
)
def test_the_code_of_one_of_several_statements_is_told_by_its_words(words: str, code: int):
    """And not by the statement, whose beginning stands before them."""
    begun = 'GRANT ROLE "does not exist or n...'
    error = vendor.ProgrammingError(
        f'JavaScript execution error: Uncaught Execution of multiple statements failed on statement "{begun}" (at line 3, position 0).\n'
        f"{words} in SYSTEM$MULTISTMT at '    throw `…`.replace(…)' position 4\nstackstrace: \nSYSTEM$MULTISTMT line: 10",
        errno=100132,
    )
    assert code_of(error) == code
    assert "SYSTEM$" not in str(translated("vend on myorg-account1", error))
    assert "JavaScript" not in str(translated("vend on myorg-account1", error))
