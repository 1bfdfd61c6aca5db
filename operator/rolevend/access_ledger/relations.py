"""Find the tables that the text of a statement names. Pure. One of the two modules that import sqlglot.

The text says less than the server knows: the name of a view, no tables behind functions and views. Results are marked as parsed.
"""

import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sqlglot import TokenType, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.dialects.postgres import Postgres
from sqlglot.dialects.snowflake import Snowflake

MAX_PARSED: Final = 8 * 1024
"""Characters beside literals and comments. A longer text is not parsed: an agent chooses it."""
_MAX_DEPTH: Final = 200
"""Opening brackets: deeper texts would exhaust the parser's stack."""
_MAX_STEPS: Final = 40_000
"""Steps of the parser: a text of `MAX_PARSED` characters takes a tenth of them."""
_CACHED: Final = 4096
_IDENTIFIER: Final = r'(?:"(?:[^"]|"")*"|[^\s("]+)'
_BEFORE_QUERY = re.compile(
    r"\s*(?:EXPLAIN(?:\s*\([^)]*\)|(?:\s+(?:ANALYZE|ANALYSE|VERBOSE))*)\s*(?=\b)"
    r"|PREPARE\s+" + _IDENTIFIER + r"\s*(?:\([^)]*\))?\s*AS\b"
    r"|DECLARE\s+" + _IDENTIFIER + r"\s+[\sA-Z]*CURSOR\s+[\sA-Z]*?FOR\b)",
    re.IGNORECASE,
)
_NO_TABLES = re.compile(
    r"\s*(?:FETCH|MOVE|CLOSE|DEALLOCATE|DISCARD|BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|RESET|SHOW|LISTEN|UNLISTEN"
    r"|NOTIFY|CHECKPOINT)\b",
    re.IGNORECASE,
)
_FIRST_WORD = re.compile(r"[\s(;]*(\w+)")
_KEPT_AS_IT_IS = re.compile(r"\\|\$(?:\w|[^\x00-\x7f])*\$")
"""Other kinds of literals, in which a quote does not end a literal."""
_AMBIGUOUS: Final = "\\'"
"""A quote that ends a literal, or does not: this depends on the session's `standard_conforming_strings`."""
_READS_A_TEXT = re.compile(
    r"(?:query|table|schema|database|cursor)_to_xml\w*|ts_stat|ts_rewrite|dblink\w*|crosstab\w*|connectby|xpath_table"
)
"""Functions of PostgreSQL and its extensions that read a table or run a query which a literal names."""
_HIDES_A_NAME = re.compile(r"U&\"|\bEXECUTE\b|\bCOPY\s+BINARY\b|\$[^\s$]*[^\x00-\x7f\s][^\s$]*\$", re.IGNORECASE)
"""Names with escapes, prepared statements behind another command, and what the parser reads otherwise than PostgreSQL."""
_MAX_NAME_BYTES: Final = 63
"""PostgreSQL cuts longer names."""
_ASCII_LOWER: Final = str.maketrans({chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)})
_NO_STATEMENT = (exp.Condition, exp.Alias)
_VALUE = re.compile(r"""("[^"]*")|'[^']*'|--[^\n\r]*|/\*(?:(?!/\*|\*/).)*\*/|(?<![\w$])(?<![^\x00-\x7f])\d+(?:\.\d+)?\b""", re.DOTALL)
"""An identifier, which is kept; or a literal or a comment. Of nested comments the outer one remains. A number behind `$` or a letter is a
part of a name."""

_LIST = re.compile(r"(?<![\w'])(0|'0')(?:\s*,\s*(?:0|'0')){7,}(?![\w'])")
"""Of replaced literals, as in `IN (…)`, whose length differs from run to run. Arguments of a function are fewer."""


class _Bounded:
    """Stops a parser that tries too many ways: for some short texts their number is exponential."""

    _steps = 0

    def _advance(self, times: int = 1) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise ValueError("too many ways to read this text")
        super()._advance(times)  # type: ignore[misc]


class _BoundedPostgres(_Bounded, Postgres.Parser):  # type: ignore[misc, valid-type, unused-ignore]
    """PostgreSQL's."""


class _BoundedSnowflake(_Bounded, Snowflake.Parser):  # type: ignore[misc, valid-type, unused-ignore]
    """Snowflake's."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a platform reads a text."""

    dialect: Dialect
    parser: type[Any]
    named: Callable[[str, bool], str]
    """Returns the name that a name means. The flag is true if it is in quotes."""
    no_tables: re.Pattern[str]
    """The beginning of a statement that reads no table."""
    kept_as_it_is: re.Pattern[str]
    """Texts in which `_VALUE` would not find the literals and comments."""
    opaque: re.Pattern[str] | None = None
    """Texts that name a table by a value."""
    names_databases: bool = False
    """True if a text can name a table of another database than the session's."""


def _named_in_postgres(name: str, quoted: bool) -> str:
    """Only letters of ASCII fold, as in a database of UTF-8."""
    spelled = name if quoted else name.translate(_ASCII_LOWER)
    return spelled.encode()[:_MAX_NAME_BYTES].decode(errors="ignore")


def _named_in_snowflake(name: str, quoted: bool) -> str:
    return name if quoted else name.upper()


POSTGRES: Final = Grammar(Postgres(), _BoundedPostgres, _named_in_postgres, _NO_TABLES, _KEPT_AS_IT_IS, _HIDES_A_NAME)
SNOWFLAKE: Final = Grammar(
    Snowflake(),
    _BoundedSnowflake,
    _named_in_snowflake,
    re.compile(r"\s*(?:USE|SHOW|DESC|DESCRIBE|BEGIN|START|COMMIT|ROLLBACK|UNSET|ALTER\s+SESSION|LIST|LS|REMOVE|RM)\b", re.IGNORECASE),
    re.compile(r"\\|\$\w*\$|//"),
    re.compile(
        r"\b(?:IDENTIFIER|TABLE)\s*\(|\b(?:RESULT_SCAN|GET_DDL|CALL|EXECUTE\s+IMMEDIATE|DECLARE)\b|\A\s*SET\b|->>|[@$]"
        r"|\bBEGIN\b(?!\s*(?:TRANSACTION|WORK|NAME|;|$))",
        re.IGNORECASE,
    ),
    names_databases=True,
)


@dataclass(frozen=True, slots=True)
class NamedTables:
    names: tuple[str, ...] = ()
    """`schema.table`, or `table` if the text names no schema."""
    command: str | None = None
    """`SELECT`, `COPY` or another command; None if the text was not understood."""
    understood: bool = True
    """False if the statement may read tables that are not in `names`."""
    calls: frozenset[str] = frozenset()
    """The names that it may call a function by, in lower case: before a bracket, and behind a dot (`people.risk` may be `risk(people)`)."""


NOTHING: Final = NamedTables(understood=False)


class TableFinder:
    """Parses texts that differ only in literals and comments once. Keeps the last results."""

    def __init__(self, grammar: Grammar = POSTGRES) -> None:
        self._grammar = grammar
        logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns about each command that it does not know
        self._known: OrderedDict[str, NamedTables] = OrderedDict()

    def find(self, text: str) -> NamedTables:
        key = _without_values(text, self._grammar)
        if len(key) > MAX_PARSED:
            return NOTHING
        if (known := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            return known
        found = self._known[key] = named_tables(key, self._grammar)
        if len(self._known) > _CACHED:
            self._known.popitem(last=False)
        return found


def named_tables(text: str, grammar: Grammar = POSTGRES) -> NamedTables:
    """Return the tables that the text names, each once, in the order of the text."""
    opaque = grammar.opaque is not None and grammar.opaque.search(text) is not None
    if grammar.no_tables.match(text) and not opaque and ";" not in text.rstrip().rstrip(";"):
        return NamedTables((), text.split(None, 1)[0].rstrip(";").upper())
    before = _BEFORE_QUERY.match(text)
    query = text[before.end() :] if before else text
    if query.count("(") > _MAX_DEPTH or query.upper().count("CASE") > _MAX_DEPTH:
        return NOTHING
    try:
        return _parsed(query, (before[0] if before else text), grammar, is_opaque=opaque)
    except Exception:
        return NOTHING  # an agent chose the text: whatever fails on it, the parser's own faults included, the statement stays


def _parsed(query: str, beginning: str, grammar: Grammar, *, is_opaque: bool) -> NamedTables:
    """Parse the text. Raises any error: a deep tree exhausts the stack of each function that walks through it."""
    tokens = grammar.dialect.tokenize(query)
    trees = [tree for tree in grammar.parser(dialect=grammar.dialect).parse(tokens, query) if tree is not None]
    if not trees:
        return NOTHING if beginning != query else NamedTables()
    if any(isinstance(tree, _NO_STATEMENT) for tree in trees):
        return NOTHING
    names = dict.fromkeys(name for tree in trees for name in _tables(tree, grammar))
    reads_more = any(_is_opaque(tree, grammar) or _calls_a_reader(tree, grammar) for tree in trees)
    understood = not is_opaque and not reads_more and _AMBIGUOUS not in beginning + query
    word = _FIRST_WORD.match(beginning)
    command = word[1].upper() if word is not None else None
    return NamedTables(tuple(names), "SELECT" if command in ("WITH", "TABLE", "VALUES") else command, understood, _calls(tokens))


def _is_opaque(tree: Any, grammar: Grammar) -> bool:
    """True if it is a command that the parser does not know."""
    return isinstance(tree, exp.Command) and not grammar.no_tables.match(str(tree.this))


def _calls(tokens: Iterable[Any]) -> frozenset[str]:
    ends = (TokenType.L_PAREN, TokenType.DOT)
    names = (
        first if second.token_type is TokenType.L_PAREN else second
        for first, second in pairwise(tokens)
        if second.token_type is TokenType.L_PAREN or first.token_type is TokenType.DOT
    )
    return frozenset(str(each.text).lower() for each in names if each.token_type not in ends)


def _calls_a_reader(tree: Any, grammar: Grammar) -> bool:
    """True if it calls a function that reads a table by its name, or one of another schema than PostgreSQL's own."""
    return any(
        _READS_A_TEXT.fullmatch(str(each.name).lower()) or _schema_of(each, grammar) not in (None, "pg_catalog")
        for each in tree.find_all(exp.Func)
    )


def _schema_of(call: Any, grammar: Grammar) -> str | None:
    """Return the schema that the call names, also behind a database: `f`, `tools.f` and `claims.tools.f` are calls."""
    parent = call.parent
    if isinstance(parent, exp.Table) and parent.this is call:
        schema = parent.args.get("db")
    elif isinstance(parent, exp.Dot) and parent.expression is call:
        schema = parent.this.expression if isinstance(parent.this, exp.Dot) else parent.this
    else:
        return None
    return _name(schema, grammar) if isinstance(schema, exp.Identifier) else None


def _without_values(text: str, grammar: Grammar) -> str:
    """Return the text with other literals and without comments, which differ from run to run; or the text, if its tables may change."""
    if grammar.kept_as_it_is.search(text):
        return text
    without = _VALUE.sub(_without_value, text)
    return text if "/*" in without else _LIST.sub(r"\1", without)


def _without_value(value: re.Match[str]) -> str:
    if value[0][0] in "-/":
        return " "
    return value[1] or ("'0'" if value[0][0] == "'" else "0")


def _tables(tree: Any, grammar: Grammar) -> Iterator[str]:
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            continue  # a function
        schema = table.args.get("db")
        if schema is None and _is_subquery_name(table, grammar):
            continue
        parts = (table.args.get("catalog") if grammar.names_databases else None, schema, table.this)
        yield ".".join(_name(each, grammar) for each in parts if isinstance(each, exp.Identifier))


def _name(identifier: Any, grammar: Grammar) -> str:
    return grammar.named(str(identifier.this), bool(identifier.args.get("quoted")))


def _is_subquery_name(table: Any, grammar: Grammar) -> bool:
    """True if the name is that of a WITH query that is visible here. In its own query the name means a table, unless it is RECURSIVE."""
    name, below = _name(table.this, grammar), table
    node = table.parent
    while node is not None:
        if isinstance(node, exp.With):
            queries = node.expressions
            visible = queries if node.args.get("recursive") else queries[: next(i for i, each in enumerate(queries) if each is below)]
        else:
            clause = next((each for each in node.args.values() if isinstance(each, exp.With)), None)
            visible = [] if clause is None or clause is below else clause.expressions
        if any(_alias(each, grammar) == name for each in visible):
            return True
        below, node = node, node.parent
    return False


def _alias(query: Any, grammar: Grammar) -> str | None:
    alias = query.args.get("alias")
    identifier = alias.this if isinstance(alias, exp.TableAlias) else None
    return _name(identifier, grammar) if isinstance(identifier, exp.Identifier) else None
