"""Bodies of policies: SQL over the policy's arguments, closed, with sub-selects that stand on their own."""

from sqlglot import exp

from tests.support.snowflake import refusals
from tests.support.snowflake.catalog import Thing
from tests.support.snowflake.translating import called, parse


def parsed(policy: Thing) -> exp.Expression:
    """The body's tree, wrapped."""
    return exp.Paren(this=parse(policy.body))


def check(policy: Thing) -> None:
    """Arguments alone stand outside of sub-selects, and none inside of them.

    Snowflake refuses only some sub-selects that use a column of the row, and some only when there are rows to look at; the stand-in refuses
    them all.
    """
    tree = parsed(policy)
    if isinstance(tree.this, exp.Query):
        raise refusals.unsupported_subquery()
    for column in tree.find_all(exp.Column):
        argument = is_argument(column, policy)
        if column.find_ancestor(exp.Query) is not None:
            if argument and not _of_own_source(column):
                raise refusals.unsupported_subquery()
        elif not argument and not called(column):
            raise refusals.invalid_identifier(column.sql(dialect="snowflake"))


def is_argument(column: exp.Column, policy: Thing) -> bool:
    return not column.table and any(one.name == column.name for one in policy.columns)


def _of_own_source(column: exp.Column) -> bool:
    """Whether a sub-select's column says whose it is. One that does not, and has an argument's name, may be either: refused."""
    return bool(column.table)


def with_arguments(policy: Thing, values: dict[str, exp.Expression]) -> exp.Expression:
    """The body's tree, with the arguments in their places."""
    tree = parsed(policy)
    for column in [*tree.find_all(exp.Column)]:
        if is_argument(column, policy) and column.find_ancestor(exp.Query) is None:
            column.replace(values[column.name].copy())
    return tree
