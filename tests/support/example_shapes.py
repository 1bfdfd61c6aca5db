"""Tables as profiles show them, with PostgreSQL's types: what every driver's golden texts are of."""

from dataclasses import replace

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.plan import Cell, ColumnShape, Condition, TableShape
from rolevend.policy.expression import (
    And,
    AttributeMembership,
    ColumnReference,
    Comparison,
    Literal,
    Membership,
    Not,
    NullTest,
    Operator,
    Or,
    Predicate,
    Range,
    attributes,
)
from rolevend.policy.literal import Clock, Moment, Span
from rolevend.policy.mask import Clear, Constant, DateTrunc, Hash, Mask, Nullify, Partial, Regex, Round, Unit

COLUMNS = (
    Column("id", Family.INTEGER, "integer"),
    Column("region", Family.TEXT, "text"),
    Column("email", Family.TEXT, "character varying"),
    Column("ssn", Family.TEXT, "text"),
    Column("born", Family.DATE, "date"),
    Column("seen", Family.TIMESTAMP_TZ, "timestamp with time zone"),
    Column("paid", Family.TIMESTAMP, "timestamp without time zone"),
    Column("amount", Family.NUMERIC, "numeric"),
    Column("active", Family.BOOLEAN, "boolean"),
    Column("place", Family.OTHER, "public.geometry"),
)
CUSTOMERS = Table(TableId("raw", "customers"), COLUMNS)


def reference(name: str, table: Table = CUSTOMERS) -> ColumnReference:
    column = table.column(name)
    assert column is not None
    return ColumnReference(column.name, column.family, column.native_type)


def condition(predicate: Predicate | None) -> Condition:
    return Condition(() if predicate is None else attributes(predicate), predicate)


def own(column: str, attribute: str) -> AttributeMembership:
    return AttributeMembership(reference(column), attribute)


def equal(column: str, text: str) -> Comparison:
    return Comparison(reference(column), Operator.EQUAL, Literal(text, quoted=True))


def shaped(table: Table, rows: tuple[Condition, ...], masks: dict[str, Mask | tuple[Cell, ...]]) -> TableShape:
    def cells(name: str) -> tuple[Cell, ...]:
        wanted = masks.get(name, Clear())
        return wanted if isinstance(wanted, tuple) else (Cell((), wanted),)

    columns = tuple(ColumnShape(each.name, each.family, each.native_type, cells(each.name)) for each in table.columns)
    return TableShape(table.id, table.id.name, rows, columns)


ONE_GRANT = shaped(
    CUSTOMERS,
    (condition(own("region", "regions")),),
    {
        "email": Hash(),
        "ssn": Partial(4),
        "born": DateTrunc(Unit.QUARTER),
        "seen": DateTrunc(Unit.MONTH),
        "paid": DateTrunc(Unit.YEAR),
        "amount": Nullify(),
        "active": Constant("false"),
        "place": Nullify(),
    },
)
EUROPE, MINE = condition(own("region", "regions")), condition(Or((own("id", "ids"), equal("region", "EU"))))
EVERYBODY_ELSE = condition(Not(Or((own("region", "regions"), NullTest(reference("ssn"), is_null=True)))))
THREE_GRANTS = shaped(
    CUSTOMERS,
    (EUROPE, MINE, EVERYBODY_ELSE),
    {
        "email": (Cell((EUROPE, MINE), Clear()), Cell((), Hash())),
        "ssn": (Cell((MINE,), Clear()), Cell((EUROPE,), Partial(4))),
        "born": (Cell((EUROPE,), Clear()), Cell((), DateTrunc(Unit.YEAR))),
        "place": (),
    },
)
BOTH_SIDES = replace(
    shaped(
        CUSTOMERS,
        (EUROPE,),
        {
            "email": (Cell((MINE,), Clear(), (EVERYBODY_ELSE, EUROPE)), Cell((EVERYBODY_ELSE,), Hash())),
            "ssn": (Cell((MINE, EUROPE), Partial(4), (EVERYBODY_ELSE,)), Cell((), Nullify())),
        },
    ),
    restrictions=((MINE, EVERYBODY_ELSE),),
)
EVERY_TEST = shaped(
    CUSTOMERS,
    (
        condition(
            And(
                (
                    Comparison(reference("amount"), Operator.GREATER_OR_EQUAL, Literal("12.5", quoted=False)),
                    Membership(reference("id"), (Literal("1", quoted=False), Literal("3000000000", quoted=False))),
                    Range(reference("born"), Literal("2000-01-01", quoted=True), Literal("2001-01-01", quoted=True)),
                    Comparison(reference("seen"), Operator.LESS, Literal("2024-01-31T10:00:00+00:00", quoted=True)),
                    Comparison(reference("seen"), Operator.GREATER_OR_EQUAL, Moment(Clock.NOW, -30, Span.DAY)),
                    Range(reference("paid"), Moment(Clock.TODAY, -6, Span.MONTH), Moment(Clock.NOW)),
                    Comparison(reference("born"), Operator.LESS, Moment(Clock.TODAY, -18, Span.YEAR)),
                    Not(equal("email", "o'hara\\")),
                    NullTest(reference("paid"), is_null=False),
                    Or((Comparison(reference("active"), Operator.NOT_EQUAL, Literal("true", quoted=False)), own("born", "days"))),
                )
            )
        ),
    ),
    {"amount": Round("0.5"), "id": Round("10"), "email": Regex(r"^([a-z])[^@]*\.", r"\1'")},
)
HOSTILE = shaped(
    Table(
        TableId('a "schema"', "it's; DROP TABLE x --"),
        (Column('se"lect', Family.TEXT, '"Odd".""" type"'), Column("☃", Family.TEXT, "text")),
    ),
    (Condition(("o'k\\",), AttributeMembership(ColumnReference("☃", Family.TEXT, "text"), "o'k\\")),),
    {'se"lect': Nullify(), "☃": Constant("'; --")},
)
PROFILES = {
    "one_grant": (ONE_GRANT,),
    "three_grants": (THREE_GRANTS,),
    "both_sides": (BOTH_SIDES,),
    "every_row": (shaped(CUSTOMERS, (condition(None),), {}),),
    "every_test": (EVERY_TEST,),
    "hostile_names": (HOSTILE,),
    "two_tables": (ONE_GRANT, shaped(Table(TableId("raw", "orders"), COLUMNS[:2]), (EUROPE,), {})),
}
