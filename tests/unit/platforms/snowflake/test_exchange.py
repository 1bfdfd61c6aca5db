"""From one set of a table's policies to another one: never more is shown on the way, and Snowflake never refuses."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.errors import Conflict
from rolevend.model import Attributes, ProfileName
from rolevend.plan import Cell, ColumnShape, Condition, TableShape
from rolevend.platforms.snowflake.build.policies import SnowflakePolicy, TableFragment, fragment
from rolevend.platforms.snowflake.exchange import Carried, Placed, exchanged
from rolevend.policy.binding import bind
from rolevend.policy.expression import attributes
from rolevend.policy.mask import Clear, Mask, Nullify, Partial
from rolevend.policy.predicate import parse
from tests.support.snowflake_bodies import ROLE, Account, vended

TEXT = "VARCHAR(16777216)"
TABLE = Table(
    TableId("SALES", "CUSTOMERS"),
    (Column("ID", Family.INTEGER, "NUMBER(38,0)"), *(Column(name, Family.TEXT, TEXT) for name in ("A", "B", "C"))),
)
ROWS = [{"ID": number, "A": f"a{number % 2}", "B": f"b{number % 3}", "C": f"c{number}"} for number in range(6)]
P, Q = (ProfileName(f"rv_p_{digit * 32}") for digit in "12")


def part(profile: ProfileName, source: str | None = None, **masks: Mask | tuple[Cell, ...]) -> TableFragment:
    def cells(name: str) -> tuple[Cell, ...]:
        mask = masks.get(name, Clear())
        return mask if isinstance(mask, tuple) else (Cell((), mask),)

    shape = TableShape(
        TABLE.id, "T", (condition(source),), tuple(ColumnShape(c.name, c.family, c.native_type, cells(c.name)) for c in TABLE.columns)
    )
    made = fragment(profile, shape, TABLE.columns)
    assert made.stricter == ()
    return made


def condition(source: str | None) -> Condition:
    predicate = None if source is None else bind(parse(source), TABLE)
    return Condition(() if predicate is None else attributes(predicate), predicate)


PER_CELL = (Cell((condition("\"A\" = 'a1'"),), Clear()), Cell((), Nullify()))
STATES: dict[str, Mapping[ProfileName, TableFragment]] = {
    "the wall": {},
    "rows": {P: part(P, "\"A\" = 'a1'")},
    "the wall's column masked": {P: part(P, "\"A\" = 'a1'", ID=Nullify())},
    "what was filtered by is masked": {P: part(P, "\"B\" = 'b1'", A=Nullify())},
    "a mask that depends on a column": {P: part(P, None, C=PER_CELL)},
    "that column masked": {P: part(P, None, A=Partial(1))},
    "two profiles": {P: part(P, "\"A\" = 'a1'", C=Nullify()), Q: part(Q, None, C=Partial(1))},
    "another one alone": {Q: part(Q, "\"B\" = 'b0'", C=Partial(1))},
}


@dataclass
class Governed:
    """A table of an account that refuses what Snowflake refuses."""

    policies: dict[str, tuple[str, str]] = field(default_factory=dict)
    row: Placed | None = None
    masks: dict[str, Placed] = field(default_factory=dict)

    def run(self, statement: str) -> None:
        quoted = re.findall(r'"((?:[^"]|"")*)"', statement)
        if statement.startswith("CREATE"):
            self.policies.setdefault(quoted[2], (statement, quoted[3]))
        elif " UNSET MASKING POLICY" in statement:
            del self.masks[quoted[3]]
        elif " SET MASKING POLICY " in statement:
            column, policy, arguments = quoted[3], quoted[6], tuple(quoted[7:])
            assert policy in self.policies
            assert (column in self.masks) == statement.endswith(" FORCE")
            self.masks[column] = Placed(policy, arguments)
        else:
            dropped = "DROP ROW ACCESS POLICY" in statement
            assert dropped == (self.row is not None)
            assert not dropped or (self.row is not None and quoted[5] == self.row.name)
            policy, arguments = (quoted[8], quoted[9:]) if dropped else (quoted[5], quoted[6:])
            assert policy in self.policies
            self.row = Placed(policy, tuple(arguments))
        masked = set(self.masks)
        conditional = {name for each in self.masks.values() for name in each.arguments[1:]}
        assert not masked & conditional, statement
        assert self.row is None or not set(self.row.arguments) & (masked | conditional), statement

    @property
    def carried(self) -> Carried:
        return Carried(self.row, dict(self.masks))

    def policy(self, placed: Placed) -> SnowflakePolicy:
        return SnowflakePolicy(placed.name, self.policies[placed.name][0], placed.arguments)

    def seen(self, account: Account, profile: ProfileName) -> Counter[tuple[object, ...]]:
        assert self.row is not None
        masks = [self.policy(each) for each in self.masks.values()]
        return Counter(account.governed(TABLE, self.policy(self.row), masks, vended(role_of(profile), profile)))


def role_of(profile: ProfileName) -> str:
    return f"{ROLE}_{profile[-1]}"


def reached(governed: Governed, state: str) -> None:
    for statement in exchanged(TABLE.id, TABLE.columns, governed.carried, STATES[state], database="PROD"):
        governed.run(statement)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    made = Account()
    made.table(TABLE, ROWS)
    for profile in (P, Q):
        made.lease(Attributes(), role=role_of(profile), profile=profile)
    yield made
    made.close()


@pytest.mark.thinned(3, "long")
@pytest.mark.parametrize(("before", "after"), list(permutations(STATES, 2)), ids=lambda each: each.replace(" ", "-"))
def test_on_the_way_no_more_is_shown_than_before_or_after(account: Account, before: str, after: str):
    governed = Governed()
    reached(governed, "the wall")
    reached(governed, before)
    goal = Governed(dict(governed.policies))
    reached(goal, after)
    ends = {profile: governed.seen(account, profile) | goal.seen(account, profile) for profile in (P, Q)}
    for statement in exchanged(TABLE.id, TABLE.columns, governed.carried, STATES[after], database="PROD"):
        governed.run(statement)
        for profile in (P, Q):
            assert not [cells for cells in governed.seen(account, profile) if not any(map(may_be(cells), ends[profile]))], statement
    assert (governed.seen(account, P), governed.seen(account, Q)) == (goal.seen(account, P), goal.seen(account, Q))
    assert exchanged(TABLE.id, TABLE.columns, governed.carried, STATES[after], database="PROD") == ()


def may_be(cells: tuple[object, ...]):
    """Whether a row that is seen at either end shows at least so much."""
    return lambda end: all(cell in (None, shown) for cell, shown in zip(cells, end, strict=True))


def test_a_table_without_a_wall_gets_one_and_a_column_is_left_for_it():
    statements = exchanged(TABLE.id, TABLE.columns, Carried(), {}, database="PROD")
    assert [each.split('"')[0] for each in statements] == ["CREATE ROW ACCESS POLICY IF NOT EXISTS ", "ALTER TABLE "]
    masked = {P: part(P, "\"A\" = 'a1'", ID=Nullify(), B=Nullify(), C=Nullify())}
    crossed = replace(Carried(), row=Placed("RV_R_1", ("ID",)), masks={"A": Placed("RV_M_1", ("A",))})
    with pytest.raises(Conflict, match="every column"):
        exchanged(TABLE.id, TABLE.columns, crossed, masked, database="PROD")
