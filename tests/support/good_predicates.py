"""Row filters that must be read, of one table with a column of each family: for the parser, and for a real PostgreSQL."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rolevend.catalog import Column, Family, Table, TableId
from rolevend.model import Tag

COLUMNS: tuple[tuple[str, str, Family], ...] = (
    ("id", "integer", Family.INTEGER),
    ("country", "text", Family.TEXT),
    ("Region", "text", Family.TEXT),
    ("n", "integer", Family.INTEGER),
    ("big", "bigint", Family.INTEGER),
    ("amount", "numeric", Family.NUMERIC),
    ("ratio", "double precision", Family.FLOAT),
    ("active", "boolean", Family.BOOLEAN),
    ("born", "date", Family.DATE),
    ("filed", "timestamp without time zone", Family.TIMESTAMP),
    ("seen", "timestamp with time zone", Family.TIMESTAMP_TZ),
    ("ref", "uuid", Family.UUID),
    ("doc", "jsonb", Family.OTHER),
)
NOW = datetime.now(UTC)
VALUES: dict[str, list[object]] = {
    "country": ["DE", "AT", "FR", "", "it's", "back\\slash", "naïve ☃", "-- no comment; DROP TABLE claims", "true", None],
    "Region": ["EU", "US", None],
    "n": [7, 0, 1, -1, 8, 39, 150, None],
    "big": [-(2**63), 2**63 - 1, 7, 0, None],
    "amount": [Decimal("12.5"), Decimal("-0.01"), Decimal(0), None],
    "ratio": [-0.5, 12.5, 0.0, float("inf"), float("nan"), None],
    "active": [True, False, None],
    "born": [
        date(2024, 2, 29),
        date(1970, 1, 1),
        date(1900, 1, 1),
        *(NOW.date() + timedelta(days) for days in (-6570, -40, -20, -2, 2)),
        None,
    ],
    "filed": [
        datetime.fromisoformat("2024-01-31T10:00"),
        datetime.fromisoformat("2024-01-31"),
        *(NOW.replace(tzinfo=None) + timedelta(days) for days in (-40, -20, -2, 20, 90)),
        None,
    ],
    "seen": [
        datetime(2024, 1, 31, 10, tzinfo=UTC),
        *(NOW + timedelta(hours=hours) for hours in (-24 * 400, -24 * 100, -24 * 40, -24 * 10, -30, -2, -0.5, 0.5, 24 * 10, 24 * 300)),
        None,
    ],
    "ref": ["6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c", "00000000-0000-0000-0000-000000000001", None],
    "doc": ["{}", None],
}
"""Values of each column but `id`, to be added to by what a platform has beyond. Far enough from the bounds of the filters that a day's end
during the test changes nothing."""
TAGS = {"country": Tag("geo.country", "iso"), "n": Tag("level", "n"), "born": Tag("pii", "birth"), "ref": Tag("pii", "id")}
CLAIMS = Table(
    TableId("claims", "claims"),
    tuple(Column(name, family, kind, frozenset({TAGS[name]} if name in TAGS else ())) for name, kind, family in COLUMNS),
)
TAGGED = {
    "col('geo.country')": "country",
    "col('geo.country', 'iso')": "country",
    "col('level')": "n",
    "col('pii', 'birth')": "born",
    "col('pii', 'id')": "ref",
}
"""What PostgreSQL reads where it cannot read our word for it."""
USER = {
    "countries": ("DE", "AT"),
    "levels": ("0", "7"),
    "amounts": ("12.5",),
    "days": ("2024-02-29", "1970-01-01"),
    "times": ("2024-01-31T10:00:00Z",),
    "flags": ("true",),
    "refs": ("6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c",),
}

_DAY, _TIME, _ZONED = "2024-02-29", "2024-01-31T10:00:00", "2024-01-31T10:00:00Z"
_REF = "6f1c0a9e-1f2d-4c3b-8a59-0d1e2f3a4b5c"
_ORDERS = ("=", "<>", "!=", "<", "<=", ">", ">=")

GOOD: tuple[str, ...] = (
    # every operator with every family that has it
    *(f"country {sign} 'DE'" for sign in ("=", "<>", "!=")),
    *(f"n {sign} 7" for sign in _ORDERS),
    *(f"big {sign} -9223372036854775808" for sign in ("=", "<>", ">")),
    *(f"amount {sign} 12.50" for sign in _ORDERS),
    *(f"ratio {sign} -0.5" for sign in _ORDERS),
    *(f"active {sign} TRUE" for sign in ("=", "<>")),
    *(f"born {sign} '{_DAY}'" for sign in _ORDERS),
    *(f"filed {sign} '{_TIME}'" for sign in _ORDERS),
    *(f"seen {sign} '{_ZONED}'" for sign in _ORDERS),
    *(f"ref {sign} '{_REF}'" for sign in ("=", "<>")),
    *(f"{name} IS {word}NULL" for name in ("country", '"Region"', "doc", "born", "active") for word in ("", "NOT ")),
    # the literal first
    *(f"7 {sign} n" for sign in _ORDERS),
    "'DE' = country",
    "FALSE = active",
    f"'{_DAY}' <= born",
    # lists and ranges
    "country IN ('DE')",
    "country IN ('DE', 'AT', 'DE', '')",
    "country NOT IN ('DE', 'AT')",
    "NOT country IN ('DE')",
    "n IN (1, -1, 7, 0)",
    "n IN (3000000000, 7)",
    "amount IN (12.5, 0, -0.01)",
    "active IN (true)",
    f"born IN ('{_DAY}', '1970-01-01')",
    f"ref NOT IN ('{_REF}')",
    "n BETWEEN 0 AND 7",
    "n NOT BETWEEN 0 AND 7",
    "amount BETWEEN -0.01 AND 100",
    "born BETWEEN '1970-01-01' AND '2024-12-31'",
    f"seen BETWEEN '2000-01-01T00:00:00Z' AND '{_ZONED}'",
    "n BETWEEN 0 AND 7 AND country = 'DE'",
    "n BETWEEN 0 AND 7 OR n BETWEEN 100 AND 200",
    # spellings of one value
    "n = 007",
    "n = '7'",
    "amount = '012.500'",
    "amount = 1234567890123456789012345678901234567890.1",
    "active = 'TRUE'",
    "filed >= '2024-01-31'",
    "filed = '2024-01-31 10:00'",
    "seen = '2024-01-31T11:00:00+01:00'",
    "ref = '6F1C0A9E-1F2D-4C3B-8A59-0D1E2F3A4B5C'",
    "country = ''",
    "country = 'it''s'",
    "country = 'back\\slash'",
    "country = 'naïve ☃'",
    "country = '-- no comment; DROP TABLE claims'",
    "country = '/* */ $1 :x %s {}'",
    "country = 'user_attr(''x'')'",
    "country = 'true' OR country = 'NULL'",
    "\"country\" = 'DE'",
    "COUNTRY = 'DE'",
    "\"Region\" = 'EU'",
    "country='DE'and n=7",
    "country\n\t=\n'DE'",
    # logic
    "country = 'DE' AND n = 7",
    "country = 'DE' OR n = 7",
    "NOT country = 'DE'",
    "NOT (country = 'DE' OR n = 7)",
    "NOT (country = 'DE' AND n IS NOT NULL)",
    "NOT NOT country = 'DE'",
    "country = 'DE' OR n = 7 AND active = true",
    "(country = 'DE' OR n = 7) AND active = true",
    "((((country = 'DE'))))",
    "country = 'DE' AND (n < 0 OR n > 6) AND NOT (active = false)",
    "country <> 'DE' OR country IS NULL",
    "country IS NULL OR n IS NULL OR active IS NULL",
    "NOT (country IS NULL)",
    "NOT (n IN (1, 7) OR amount > 0)",
    "country = 'DE' AND country <> 'AT'",
    "n > 0 AND n < 10 AND n <> 5",
    "n < 0 OR n > 10",
    "(n = 1 AND country = 'DE') OR (n = 7 AND country = 'AT') OR (n IS NULL AND active = true)",
    " AND ".join(f"n <> {number}" for number in range(8, 40)),
    " OR ".join(f"country = 'C{number}'" for number in range(40)) + " OR country = 'DE'",
    f"n IN ({', '.join(map(str, range(200)))})",
    "(" * 20 + "n = 7" + ")" * 20,
    # the user's values
    "country IN (user_attr('countries'))",
    "country = user_attr('countries')",
    "country NOT IN (user_attr('countries'))",
    "NOT (country IN (user_attr('countries')))",
    "country IN (user_attr('countries')) OR n = 7",
    "country IN (user_attr('countries')) AND n IN (user_attr('levels'))",
    "\"Region\" = 'EU' AND NOT country = user_attr('countries')",
    "n IN (user_attr('levels'))",
    "big = user_attr('levels')",
    "amount IN (user_attr('amounts'))",
    "ratio IN (user_attr('amounts'))",
    "active = user_attr('flags')",
    "born IN (user_attr('days'))",
    "born NOT IN (user_attr('days')) AND born IS NOT NULL",
    "seen IN (user_attr('times'))",
    "ref IN (user_attr('refs'))",
    "USER_ATTR('countries') = country",
    # columns by their tags
    "col('geo.country') = 'DE'",
    "col('geo.country', 'iso') IN ('DE', 'AT')",
    "col('geo.country') IN (user_attr('countries'))",
    "col('level') BETWEEN 0 AND 7",
    "NOT (col('level') > 5)",
    "col('pii', 'birth') >= '1980-01-01'",
    "col('pii', 'id') IS NOT NULL",
    "col('geo.country') = 'DE' AND col('level') = 7 OR active = true",
    "COL('geo.country') <> 'DE'",
    # relative to now
    "seen >= now() - interval '30 days'",
    "seen < now() - interval '30 days'",
    "seen > NOW() - INTERVAL '1 hour'",
    "seen <= now()",
    "now() < seen",
    "seen BETWEEN now() - interval '1 year' AND now()",
    "seen NOT BETWEEN now() - interval '6 months' AND now() + interval '6 months'",
    "seen >= now() - interval '90 minutes' OR seen IS NULL",
    "seen >= now() - interval '2 weeks' AND country = 'DE'",
    "seen > now() - interval '3600 seconds'",
    "filed >= now() - interval '30 days'",
    "filed < now() + interval '1 month'",
    "born >= current_date - 30",
    "born < current_date - 6570",
    "born <= CURRENT_DATE",
    "born = current_date",
    "born <> current_date + 1",
    "born >= current_date - interval '18 years'",
    "born BETWEEN current_date - interval '65 years' AND current_date - interval '18 years'",
    "filed >= current_date - interval '1 week'",
    "seen >= current_date",
    "seen < current_date - 365",
    "NOT (born > current_date - interval '1 month')",
    "col('pii', 'birth') < current_date - interval '18 years'",
    "born < current_date - interval '100 years' OR born > '2020-01-01'",
    "born < '2000-01-01' AND seen >= now() - interval '1 day'",
)


def original(source: str) -> str:
    """The text as a database reads it that knows PostgreSQL's words: the user's values and the tagged columns in their places."""
    for word, column in TAGGED.items():
        source = re.sub(re.escape(word), column, source, flags=re.IGNORECASE)
    for key, given in USER.items():
        listed = ", ".join(f"'{value}'" for value in given)
        call = rf"user_attr\('{key}'\)"
        source = re.sub(rf"\({call}\)", f"({listed})", source, flags=re.IGNORECASE)
        source = re.sub(rf"^{call} = (\w+)$", rf"\1 IN ({listed})", source, flags=re.IGNORECASE)
        source = re.sub(rf"= {call}", f"IN ({listed})", source, flags=re.IGNORECASE)
    return source
