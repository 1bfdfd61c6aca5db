"""What Snowflake says when it refuses: number, SQLSTATE and text. Which of them are documented stands in ASSUMPTIONS.md."""

_SHOWN = 30
"""Signs of a statement that a refusal shows."""


class Refusal(Exception):
    """An answer of the account that is an error. `number` as in ``002003``, `state` is its SQLSTATE."""

    def __init__(self, number: str, state: str, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.state = state
        self.text = text


class Unknown(Refusal):
    """The stand-in does not know this. It is loud: a model that guesses is worse than none."""

    def __init__(self, what: str) -> None:
        super().__init__("900001", "0A000", f"the stand-in for Snowflake does not know {what}")


def syntax(line: int, position: int, word: str) -> Refusal:
    return Refusal("001003", "42000", f"SQL compilation error:\nsyntax error line {line} at position {position} unexpected '{word}'.")


def missing(kind: str, name: str) -> Refusal:
    """Also what is said to somebody who may not know that it is there."""
    noun, state = ("Object", "42S02") if kind in {"TABLE", "VIEW"} else (kind.capitalize(), "02000")
    return Refusal("002003", state, f"SQL compilation error:\n{noun} '{name}' does not exist or not authorized.")


def insufficient(kind: str, name: str) -> Refusal:
    return Refusal("003001", "42501", f"SQL access control error:\nInsufficient privileges to operate on {kind.lower()} '{name}'")


def exists(name: str) -> Refusal:
    return Refusal("002002", "42710", f"SQL compilation error:\nObject '{name}' already exists.")


def not_assigned(role: str) -> Refusal:
    return Refusal(
        "003013",
        "42501",
        f"SQL access control error:\nRequested role '{role}' is not assigned to the executing user. Specify another role to activate.",
    )


def unsupported(what: str) -> Refusal:
    return Refusal("000002", "0A000", f"Unsupported feature '{what}'.")


def invalid_identifier(name: str) -> Refusal:
    return Refusal("000904", "42000", f"SQL compilation error: error line 1 at position 7\ninvalid identifier '{name}'")


def no_warehouse() -> Refusal:
    return Refusal(
        "000606",
        "57P03",
        "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.\n",
    )


def cancelled() -> Refusal:
    return Refusal("000604", "57014", "SQL execution canceled")


def timed_out(seconds: float) -> Refusal:
    return Refusal("000630", "57014", f"Statement reached its statement or warehouse timeout of {seconds:g} second(s) and was canceled.")


def wrong_count(found: int, wanted: int) -> Refusal:
    return Refusal("000008", "0A000", f"Actual statement count {found} did not match the desired statement count {wanted}.")


def one_of_several(refusal: Refusal, statement: str, line: int, position: int) -> Refusal:
    """What becomes of the refusal of one statement of several: its number is lost, and its text is in the middle of another."""
    text = statement if len(statement) <= _SHOWN else f"{statement[:_SHOWN]}..."
    return Refusal(
        "100132",
        "P0000",
        f'JavaScript execution error: Uncaught Execution of multiple statements failed on statement "{text}" '
        f"(at line {line}, position {position}).\n{refusal.text} in SYSTEM$MULTISTMT at '    throw `Execution of multiple statements "
        "failed on statement {0} (at line {1}, position {2}).`.replace('{1}', LINES[i])' position 4\n"
        "stackstrace: \nSYSTEM$MULTISTMT line: 10",
    )


def current_role(role: str) -> Refusal:
    return Refusal("003643", "42501", f"SQL execution error: Cannot drop role {role} as it is the current primary role.")


def second_row_policy(table: str) -> Refusal:
    return Refusal(
        "003551",
        "55000",
        f"SQL execution error:\nObject {table} already has a ROW_ACCESS_POLICY. Only one ROW_ACCESS_POLICY is allowed at a time.",
    )


def second_mask(column: str, policy: str) -> Refusal:
    return Refusal(
        "003530",
        "0A000",
        f"SQL compilation error:\nSpecified column already attached to another masking policy. column {column}, policy {policy}. "
        "To replace it, use the keyword FORCE.",
    )


def masked_argument(column: str) -> Refusal:
    return Refusal(
        "003532",
        "0A000",
        f"SQL compilation error:\nColumn '{column}' cannot be used as policy argument because it is masked by another policy.",
    )


def policy_in_use(policy: str) -> Refusal:
    return Refusal(
        "003557",
        "0A000",
        f"SQL compilation error:\nPolicy {policy} cannot be dropped/replaced as it is associated with one or more entities.",
    )


def dependent_grants(name: str) -> Refusal:
    return Refusal(
        "003124",
        "55000",
        f"SQL execution error:\nDependent grant of privilege exists on '{name}'. "
        "It must be revoked first. More than one dependent grant may exist: use 'SHOW GRANTS' command to view them.",
    )


def unsupported_subquery() -> Refusal:
    return Refusal("002031", "42601", "SQL compilation error:\nUnsupported subquery type cannot be evaluated")


def failed(text: str) -> Refusal:
    return Refusal("100132", "P0000", f"SQL execution error: {text}")


def argument_masked(column: str) -> Refusal:
    return Refusal(
        "003533",
        "0A000",
        f"SQL compilation error:\nColumn '{column}' cannot be masked because it is used as an argument of another policy.",
    )
