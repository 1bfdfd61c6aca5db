"""Parse row filters. One of the two modules that import sqlglot.

A text passes three checks. `vocabulary`: every character belongs to an allowed word or is a space between two. `_Reader`: the syntax tree
is walked against an allow-list, and every argument of a node is read. `assert_round_trip`: the names and literals of the text are those of
the predicate, so that a lenient parser cannot drop any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import ParseError, TokenError

from rolevend.policy.binding import bind as bind
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
    TaggedColumn,
    TagReference,
    Value,
)
from rolevend.policy.expression import render as render
from rolevend.policy.literal import Clock, Moment, shifted
from rolevend.policy.round_trip import assert_round_trip
from rolevend.policy.tautology import constant_value
from rolevend.policy.vocabulary import ALLOWED, Source, Word, admit_text, admit_words, in_place, near_keyword

MAXIMUM_LIST: Final = 1000
MAXIMUM_ATTRIBUTE_NAME: Final = 253

_OPERATORS: dict[type[exp.Expression], Operator] = {
    exp.EQ: Operator.EQUAL,
    exp.NEQ: Operator.NOT_EQUAL,
    exp.LT: Operator.LESS,
    exp.LTE: Operator.LESS_OR_EQUAL,
    exp.GT: Operator.GREATER,
    exp.GTE: Operator.GREATER_OR_EQUAL,
}


def parse(text: str, field: str = "spec.rowFilter") -> Predicate:
    """Return the predicate of `text`, not yet bound to a table. `And` and `Or` are never nested in their own kind.

    Raises InvalidInput for `field`, with line, column and a way out, for a text that is not in the language.
    """
    source = Source(text, field)
    words = _words(source)
    admit_words(source, words)
    try:
        tree = next(iter(Postgres().parse_into(exp.Condition, text)), None)  # None for words such as ELSE
    except ParseError as error:
        raise _unreadable(source, words, error) from error
    if tree is None:
        raise source.fault(0, "the row filter states nothing", ALLOWED)
    _place_booleans(cast("exp.Expression", tree), words)
    predicate = _Reader(source).predicate(cast("exp.Expression", tree))
    assert_round_trip(source, words, predicate)
    if wrong := constant_value(predicate):
        raise source.fault(0, *wrong)
    return predicate


def _words(source: Source) -> Sequence[Word]:
    admit_text(source)
    try:
        tokens = Postgres().tokenize(source.text)
    except TokenError as error:
        opened = max(source.text.rfind(mark) for mark in ("'", '"', "/*", "$", ""))
        raise source.fault(opened, "a quote or comment is opened and not closed", "close it; a quote inside a string is ''") from error
    return in_place([Word(each.token_type.name, each.text, source.text[each.start : each.end + 1], each.start) for each in tokens])


def _place_booleans(tree: exp.Expression, words: Sequence[Word]) -> None:
    """Set the positions of TRUE and FALSE, which the parser does not keep."""
    nodes, places = list(tree.find_all(exp.Boolean, bfs=False)), [word.start for word in words if word.kind in ("TRUE", "FALSE")]
    if len(nodes) == len(places):
        for node, start in zip(nodes, places, strict=True):
            node.meta["start"] = start


def _unreadable(source: Source, words: Sequence[Word], error: ParseError) -> Exception:
    """Return the error at the start of the word that the parser reports by its end."""
    found = error.errors[0] if error.errors else {}
    line, column = found.get("line") or 1, found.get("col") or 1
    offset = sum(len(each) + 1 for each in source.text.split("\n")[: line - 1]) + column
    word = next((word for word in words if word.end >= offset), words[-1])
    near = near_keyword(word.raw) if word.is_name else None
    return source.fault(
        word.start, f"this cannot be read as a condition near {word.raw[:40]}", f"did you mean {near}?" if near else ALLOWED
    )


@dataclass(frozen=True, slots=True)
class _UserAttribute:
    key: str


_Operand = ColumnReference | Value | _UserAttribute


@dataclass(frozen=True, slots=True)
class _Reader:
    source: Source

    def predicate(self, node: exp.Expression) -> Predicate:
        match node:
            case exp.Paren():
                return self.predicate(self._only(node, "this")["this"])
            case exp.And():
                return And(tuple(self._parts(node, And)))
            case exp.Or():
                return Or(tuple(self._parts(node, Or)))
            case exp.Not():
                return self._negated(self._only(node, "this")["this"])
            case exp.In():
                return self._membership(node)
            case exp.Between():
                bounds = self._only(node, "this", "low", "high")
                return Range(self._column(bounds["this"]), self._value(bounds["low"]), self._value(bounds["high"]))
            case exp.Is():
                return self._null_test(node)
            case exp.Column():
                column = self._column(node)
                raise self._fault(node, f"column {column.name} stands alone", f"write {column.name} = true")
            case exp.Boolean() | exp.Literal():
                raise self._fault(node, "this is the same in every row", self._instead_of(node))
            case _ if type(node) in _OPERATORS:
                return self._comparison(node, _OPERATORS[type(node)])
        raise self._refused(node)

    def _instead_of(self, node: exp.Expression) -> str:
        """Return the way out for a condition that is constant, which depends on the tests that it is joined with."""
        if not isinstance(node, exp.Boolean):
            return "compare a column with a literal"
        holds, around = bool(node.this), node.parent
        while isinstance(around, exp.Paren | exp.Not):
            holds, around = holds != isinstance(around, exp.Not), around.parent
        match around, holds:
            case (exp.And(), True) | (exp.Or(), False):
                return "remove it: it changes nothing"
            case exp.And(), False:
                return "remove it: with AND it lets no row pass"
            case exp.Or(), True:
                return "remove it: with OR it lets every row pass"
            case _, True:
                return f"for every row {self.source.every_row}"
        return "write a condition that some rows meet"

    def _parts(self, node: exp.Expression, kind: type[And] | type[Or]) -> Iterator[Predicate]:
        # The parser nests a chain to the left, as deep as it is long: descend without recursion.
        right: list[exp.Expression] = []
        left: exp.Expression = node
        while type(left) is type(node):
            sides = self._only(left, "this", "expression")
            right.append(sides["expression"])
            left = sides["this"]
        for part in map(self.predicate, (left, *reversed(right))):
            yield from part.parts if isinstance(part, kind) else (part,)

    def _negated(self, node: exp.Expression) -> Predicate:
        if isinstance(node, exp.Column):
            column = self._column(node)
            raise self._fault(node, f"column {column.name} stands alone", f"write {column.name} = false")
        part = self.predicate(node)
        return NullTest(part.column, not part.is_null) if isinstance(part, NullTest) else Not(part)

    def _comparison(self, node: exp.Expression, operator: Operator) -> Predicate:
        sides = self._only(node, "this", "expression")
        match self._operand(sides["this"]), self._operand(sides["expression"]):
            case ColumnReference() as column, (Literal() | Moment()) as value:
                return Comparison(column, operator, value)
            case ((Literal() | Moment() | _UserAttribute()), TaggedColumn()):
                raise self._fault(node, "col() stands on the right", "write it first: col('tag') = 'literal'")
            case (Literal() | Moment()) as value, ColumnReference() as column:
                return Comparison(column, operator.flipped, value)
            case (ColumnReference() as column, _UserAttribute(key)) | (_UserAttribute(key), ColumnReference() as column):
                if operator is not Operator.EQUAL:
                    name = "col('tag')" if isinstance(column, TaggedColumn) else column.name
                    way_out = f"write {name} IN (user_attr('{key}')) or NOT ({name} IN (user_attr('{key}')))"
                    raise self._fault(node, f"user_attr() cannot be compared with {operator.value}: it has several values", way_out)
                return AttributeMembership(column, key)
            case ColumnReference(), ColumnReference():
                raise self._fault(node, "a column is compared with a column", "compare with a literal: a text in 'quotes', a finite number")
            case _:
                raise self._fault(node, "this is the same in every row", "compare a column with a literal or with user_attr('name')")

    def _membership(self, node: exp.In) -> Predicate:
        if node.args.get("field") is not None:
            raise self._fault(node, "IN needs a list in parentheses", "write column IN ('a', 'b') or column IN (user_attr('name'))")
        if not any(node.args.get(part) for part in ("expressions", "query")):
            raise self._fault(node, "the IN list is empty", "list at least one value")
        listed = self._only(node, "this", "expressions")
        column, members = self._column(listed["this"]), [self._operand(member) for member in listed["expressions"]]
        match members:
            case [_UserAttribute(key)]:
                return AttributeMembership(column, key)
            case _ if len(members) > MAXIMUM_LIST:
                raise self._fault(node, f"an IN list has at most {MAXIMUM_LIST} values", "move the list to a user attribute")
        literals = tuple(member for member in members if isinstance(member, Literal))
        if len(literals) == len(members):
            return Membership(column, literals)
        if any(isinstance(member, ColumnReference | Moment) for member in members):
            raise self._fault(node, "an IN list holds literals only", "put a text in 'quotes'")
        raise self._fault(
            node, "user_attr() stands alone in its IN list", "join the tests: column IN ('a') OR column IN (user_attr('name'))"
        )

    def _null_test(self, node: exp.Is) -> Predicate:
        # Since sqlglot 30 IS NOT NULL is one node; before, it was NOT around IS NULL.
        negated = bool(node.args.get("negate"))
        sides = self._only(node, "this", "expression", *(("negate",) if negated else ()))
        if isinstance(sides["expression"], exp.Null):
            return NullTest(self._column(sides["this"]), not negated)
        raise self._fault(node, "IS tests for NULL only", "write column IS NULL, column = true or column = false")

    def _operand(self, node: exp.Expression) -> _Operand:
        match node:
            case exp.Column():
                return self._column(node)
            case exp.Anonymous() if node.name.lower() == "col":
                return self._column(node)
            case exp.Anonymous():
                return self._user_attribute(node)
            case exp.Null():
                raise self._fault(node, "a comparison with NULL is never true", "write column IS NULL or column IS NOT NULL")
        return self._value(node)

    def _value(self, node: exp.Expression) -> Value:
        match node:
            case exp.CurrentTimestamp() | exp.CurrentDate():
                return Moment(self._clock(node))
            case exp.Sub() | exp.Add() if isinstance(node.this, exp.CurrentTimestamp | exp.CurrentDate):
                sides = self._only(node, "this", "expression")
                clock = self._clock(sides["this"])
                moment = shifted(clock, self._span(sides["expression"], clock), back=isinstance(node, exp.Sub))
                if isinstance(moment, str):
                    raise self._fault(node, *moment.split("; ", 1))
                return moment
        return self._literal(node)

    def _clock(self, node: exp.Expression) -> Clock:
        self._only(node)
        return Clock.TODAY if isinstance(node, exp.CurrentDate) else Clock.NOW

    def _span(self, node: exp.Expression, clock: Clock) -> str:
        match node:
            case exp.Interval(this=exp.Literal(is_string=True) as number):
                unit = node.args.get("unit")
                return f"{number.name} {unit.name}" if unit is not None else number.name
            case exp.Literal(is_string=False) if clock is Clock.TODAY:
                return f"{node.name} days"
        raise self._fault(node, f"{clock.value} is moved by a span of time", "write interval '30 days'")

    def _column(self, node: exp.Expression) -> ColumnReference:
        if isinstance(node, exp.Anonymous) and node.name.lower() == "col":
            return TaggedColumn("", tag=self._tag(node))
        if not isinstance(node, exp.Column):
            raise self._fault(node, "a test begins with a column", "write column = 'literal', a column's name without parentheses")
        name = self._only(node, "this")["this"]
        if not isinstance(name, exp.Identifier):
            raise self._refused(node)
        return ColumnReference(name.name if name.args.get("quoted") else name.name.lower())

    def _literal(self, node: exp.Expression) -> Literal:
        match node:
            case exp.Literal(is_string=quoted):
                return Literal(node.name, quoted)
            case exp.Boolean():
                return Literal("true" if node.this else "false", quoted=False)
            case exp.Neg(this=exp.Literal(is_string=False) as number):
                return Literal(f"-{number.name}", quoted=False)
            case exp.Column():
                raise self._fault(node, "a column stands where a literal is expected", "put a text in 'quotes'")
        raise self._refused(node)

    def _tag(self, node: exp.Anonymous) -> TagReference:
        match node.expressions:
            case [exp.Literal(is_string=True) as key] if key.name:
                return TagReference(key.name)
            case [exp.Literal(is_string=True) as key, exp.Literal(is_string=True) as value] if key.name and value.name:
                return TagReference(key.name, value.name)
        raise self._fault(node, "col takes a tag's key, or its key and value", "write col('key') or col('key', 'value')")

    def _user_attribute(self, node: exp.Anonymous) -> _UserAttribute:
        match node.expressions:
            case [exp.Literal(is_string=True) as key] if 0 < len(key.name) <= MAXIMUM_ATTRIBUTE_NAME:
                return _UserAttribute(key.name)
        raise self._fault(node, "user_attr takes the name of one attribute", "write user_attr('name')")

    def _only(self, node: exp.Expression, *arguments: str) -> dict[str, Any]:
        """Return the arguments of `node`; refuse the node if it has others."""
        given = {name: value for name, value in node.args.items() if value is not None and value is not False and value != []}
        if set(given) != set(arguments):
            raise self._refused(node)
        return given

    def _refused(self, node: exp.Expression) -> Exception:
        if isinstance(node, exp.Paren):
            return self._fault(node, "parentheses go around conditions, not around a column or a literal", "remove them")
        if isinstance(node, exp.Anonymous) and node.name.lower() == "col":
            return self._fault(node, "col('tag') stands alone", "compare it: col('tag') = 'literal'")
        if isinstance(node, exp.Anonymous):
            return self._fault(node, "user_attr() is not allowed here", "write column IN (user_attr('name'))")
        name = node.sql_name() if isinstance(node, exp.Func) else node.key.upper()
        return self._fault(node, f"{name} is not allowed in a row filter", ALLOWED)

    def _fault(self, node: exp.Expression, problem: str, way_out: str) -> Exception:
        """Return an error at the first word of `node`, or of the nearest enclosing node with a known position."""
        around: exp.Expression | None = node
        starts: list[int] = []
        while around is not None and not starts:
            starts = [each.meta["start"] for each in around.walk() if "start" in each.meta]
            around = cast("exp.Expression | None", around.parent)
        return self.source.fault(min(starts, default=0), problem, way_out)
