"""Functions of Snowflake that the stand-in knows, each in DuckDB's words. One that does not stand here is refused.

Sessions are in UTC, so a moment with a zone needs no more than DuckDB's own. VARIANT, ARRAY and OBJECT are JSON.
"""

from collections.abc import Callable

from sqlglot import exp

from tests.support.snowflake import refusals

MACROS = (
    "CREATE MACRO sf_text(x) AS CASE WHEN typeof(x) = 'JSON' THEN to_json(x) ->> '$' ELSE CAST(x AS VARCHAR) END",
    "CREATE MACRO sf_array(x) AS CASE WHEN x IS NULL OR json_type(to_json(x)) = 'NULL' THEN NULL "
    "WHEN json_type(to_json(x)) = 'ARRAY' THEN to_json(x) ELSE json_array(x) END",
    "CREATE MACRO sf_array_contains(x, a) AS list_contains(CAST(sf_array(a) AS JSON[]), to_json(x))",
)

_FORMS = {
    "YYYY-MM-DD": "%Y-%m-%d",
    'YYYY-MM-DD"T"HH24:MI:SS.FF9': "%Y-%m-%dT%H:%M:%S.%f000",
    "YYYY-MM-DD HH24:MI:SS": "%Y-%m-%d %H:%M:%S",
}

Built = Callable[..., exp.Expression]


def duck(text: str, /, **parts: exp.Expression) -> exp.Expression:
    """An expression of DuckDB; `:name` stands for a part."""
    tree: exp.Expression = exp.maybe_parse(text, dialect="duckdb")
    if parts:
        tree = exp.replace_placeholders(tree, **{name: exp.paren(each.copy()) for name, each in parts.items()})
    for node in tree.find_all(exp.Anonymous):
        node.meta["known"] = True
    return tree


def _named(text: str, *names: str, optional: int = 0) -> Built:
    """`optional` of the last arguments may be left out, and are not looked at."""

    def built(*given: exp.Expression) -> exp.Expression:
        if not len(names) <= len(given) <= len(names) + optional:
            raise TypeError(text)
        return exp.paren(duck(text, **dict(zip(names, given, strict=False))))

    return built


def _same(name: str) -> Built:
    return lambda *given: exp.func(name.lower(), *(each.copy() for each in given), dialect="duckdb")


def _shift(part: exp.Expression, amount: exp.Expression, at: exp.Expression) -> exp.Expression:
    unit = part.name.lower().removesuffix("s")
    if unit not in ("second", "minute", "hour", "day", "week", "month", "year"):
        raise KeyError(unit)
    return exp.paren(
        duck(
            f":at + to_{unit}s(CAST(:amount AS BIGINT))" if unit in ("minute", "hour") else f":at + to_{unit}s(CAST(:amount AS INTEGER))",
            at=at,
            amount=amount,
        )
    )


def _to_varchar(value: exp.Expression, form: exp.Expression | None = None) -> exp.Expression:
    if form is None:
        return duck("sf_text(:value)", value=value)
    return duck("strftime(:value, :form)", value=value, form=exp.Literal.string(_FORMS[form.name]))


def _to_timestamp(kind: str) -> Built:
    def built(value: exp.Expression, *_: exp.Expression) -> exp.Expression:
        return duck(f"CAST(sf_text(:value) AS {kind})", value=value)

    return built


def _round(number: exp.Expression, places: exp.Expression | None = None) -> exp.Expression:
    """To a place that is known when it runs only, which DuckDB's own function does not take."""
    if places is None or isinstance(places, exp.Literal):
        return exp.func("round", number.copy(), *([places.copy()] if places else []))
    whens = " ".join(f"WHEN {each} THEN CAST(round(:number, {each}) AS DECIMAL(38, 15))" for each in range(-8, 16))
    return exp.paren(duck(f"CASE CAST(:places AS BIGINT) {whens} END", number=number, places=places))


def _to_binary(text: exp.Expression, form: exp.Expression | None = None) -> exp.Expression:
    return duck("encode(:text)" if form is not None and form.name.upper().startswith("UTF") else "unhex(:text)", text=text)


def _transform(array: exp.Expression, function: exp.Expression) -> exp.Expression:
    """To numbers, alone."""
    text = function.sql(dialect="snowflake").upper().replace(" ", "")
    if not text.endswith(("CAST(VASDOUBLE)", "CAST(VASFLOAT)", "CAST((V)ASDOUBLE)", "CAST((SF_TEXT((V)))ASDOUBLE)")):
        raise KeyError(text)
    return duck("to_json(list_transform(CAST(sf_array(:array) AS VARCHAR[]), lambda v: CAST(v AS DOUBLE)))", array=array)


def _regexp_replace(subject: exp.Expression, pattern: exp.Expression, replacement: exp.Expression, *rest: exp.Expression) -> exp.Expression:
    flags = rest[2].name if len(rest) == 3 else ""
    if rest and [each.name for each in rest[:2]] != ["1", "0"]:
        raise refusals.Unknown("REGEXP_REPLACE from a place, or of one match")
    return duck(f"regexp_replace(:s, :p, :r, 'g{flags}')", s=subject, p=pattern, r=replacement)


def _from_parts(*given: exp.Expression) -> exp.Expression:
    parts = dict(zip(("y", "mo", "d", "h", "mi", "s", "n"), (*given, exp.Literal.number(0)), strict=False))
    return exp.paren(duck("make_timestamp(:y, :mo, :d, :h, :mi, :s + :n / 1000000000)", **parts))


def _tz_from_parts(*given: exp.Expression) -> exp.Expression:
    if given[-1].name != "UTC":
        raise refusals.Unknown("another zone than UTC")
    return duck("timezone('UTC', :naive)", naive=_from_parts(*given[:-1]))


def _convert_timezone(zone: exp.Expression, at: exp.Expression) -> exp.Expression:
    if zone.name != "UTC":
        raise refusals.Unknown("another zone than UTC")
    return duck("CAST(:at AS TIMESTAMPTZ)", at=at)


_LIKE_DUCKDB = (
    *(
        "MIN",
        "MAX",
        "SUM",
        "AVG",
        "COUNT_IF",
        "ANY_VALUE",
        "COALESCE",
        "NULLIF",
        "ABS",
        "LEAST",
        "GREATEST",
        "FLOOR",
        "CEIL",
        "LENGTH",
        "LOG",
    ),
    *("UPPER", "LOWER", "TRIM", "LTRIM", "REPLACE", "REPEAT", "LPAD", "RPAD", "SUBSTR", "CONCAT_WS", "SQRT", "LN", "EXP", "SIGN", "MD5"),
    *("ROW_NUMBER", "RANK", "DENSE_RANK"),
)

FUNCTIONS: dict[str, Built] = {
    **{name: _same(name) for name in _LIKE_DUCKDB},
    "ARRAY_CONTAINS": _named("sf_array_contains(:value, :list)", "value", "list"),
    "ARRAY_CONSTRUCT": lambda *given: exp.func("json_array", *(each.copy() for each in given)),
    "ARRAY_SIZE": _named("json_array_length(sf_array(:list))", "list"),
    "CONCAT": lambda *given: exp.paren(exp.func("concat", *given)) if len(given) != 2 else _named(":one || :other", "one", "other")(*given),
    "CONVERT_TIMEZONE": _convert_timezone,
    "DATEADD": _shift,
    "DATE_FROM_PARTS": _named("make_date(:y, :m, :d)", "y", "m", "d"),
    "DATE_TRUNC": _named("date_trunc(:part, :at)", "part", "at"),
    "ENDSWITH": _named("ends_with(:text, :end)", "text", "end"),
    "EQUAL_NULL": _named(":one IS NOT DISTINCT FROM :other", "one", "other"),
    "GET": _named("""json_extract(to_json(:object), '$."' || :key || '"')""", "object", "key"),
    "HEX_ENCODE": _named("hex(:value)", "value"),
    "IFF": _named("CASE WHEN :test THEN :one ELSE :other END", "test", "one", "other"),
    "IFNULL": _named("COALESCE(:one, :other)", "one", "other"),
    "LEFT": _named("left(:text, :count)", "text", "count"),
    "MOD": _named(":number % :by", "number", "by"),
    "NVL": _named("COALESCE(:one, :other)", "one", "other"),
    "PARSE_JSON": _named("CAST(json(:text) AS JSON)", "text"),
    "RANDOM": _named("CAST(floor(random() * 1000000000000000) AS BIGINT)"),
    "RANDSTR": _named("md5(CAST(uuid() AS VARCHAR)) || md5(CAST(uuid() AS VARCHAR))", "length", "of"),
    "REGEXP_REPLACE": _regexp_replace,
    "RIGHT": _named("right(:text, CAST(:count AS BIGINT))", "text", "count"),
    "ROUND": _round,
    "RTRIM": lambda text, these=None: exp.func("rtrim", text.copy(), *([these.copy()] if these is not None else [])),
    "SHA2": _named("sha256(:value)", "value", optional=1),
    "SHA2_BINARY": _named("unhex(sha256(:value))", "value", optional=1),
    "SHA2_HEX": _named("sha256(:value)", "value", optional=1),
    "STARTSWITH": _named("starts_with(:text, :start)", "text", "start"),
    "TIMESTAMP_NTZ_FROM_PARTS": _from_parts,
    "TIMESTAMP_TZ_FROM_PARTS": _tz_from_parts,
    "TO_ARRAY": _named("sf_array(:value)", "value"),
    "TO_BINARY": _to_binary,
    "TO_CHAR": _to_varchar,
    "TO_DATE": _named("CAST(:value AS DATE)", "value", optional=1),
    "TO_JSON": _named("CAST(to_json(:value) AS VARCHAR)", "value"),
    "TO_TIMESTAMP_LTZ": _to_timestamp("TIMESTAMPTZ"),
    "TO_TIMESTAMP_NTZ": _to_timestamp("TIMESTAMP"),
    "TO_TIMESTAMP_TZ": _to_timestamp("TIMESTAMPTZ"),
    "TO_VARCHAR": _to_varchar,
    "TO_VARIANT": _named("to_json(:value)", "value"),
    "TRANSFORM": _transform,
    "TRY_PARSE_JSON": _named("TRY_CAST(:text AS JSON)", "text"),
    "TRY_TO_TIMESTAMP_TZ": _named("TRY_CAST(sf_text(:value) AS TIMESTAMPTZ)", "value", optional=1),
}
