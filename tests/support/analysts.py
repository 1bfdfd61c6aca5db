"""Three tables of an insurer, who may see what of them, and what analysts ask. Every statement's order is said to the last row."""

import random
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from rolevend.catalog import Family, Table, TableId
from rolevend.model import Attributes
from rolevend.policy.mask import Constant, DateTrunc, Hash, Partial, Regex, Round, Unit
from rolevend.policy.predicate import parse
from rolevend.policy.statement import ColumnSelector, Guardrail, Policy, Requirement, TableSelector
from tests.support.oracle_rows import Row
from tests.support.policies import column, guardrail, masked, policy, table, user

PEOPLE = table(
    "work.people",
    column("id", Family.INTEGER),
    *(column(name) for name in ("full_name", "email", "ssn", "country")),
    column("birth", Family.DATE),
    column("salary", Family.NUMERIC),
)
CLAIMS = table(
    "work.claims",
    column("id", Family.INTEGER),
    column("person_id", Family.INTEGER),
    *(column(name) for name in ("country", "kind")),
    column("amount", Family.NUMERIC),
    column("filed", Family.TIMESTAMP),
    column("open", Family.BOOLEAN),
)
PAYMENTS = table(
    "work.payments",
    column("id", Family.INTEGER),
    column("claim_id", Family.INTEGER),
    column("iban"),
    column("paid", Family.DATE),
    column("amount", Family.NUMERIC),
)
TABLES = (PEOPLE, CLAIMS, PAYMENTS)
_COUNTRIES = ("DE", "AT", "FR", "US", "CH", None)


def content(seed: int = 11) -> Mapping[TableId, list[Row]]:
    """Some hundred rows of each, with NULLs, equal amounts, and payments of claims and claims of people that are not there."""
    chance = random.Random(seed)

    def amount(most: int) -> Decimal | None:
        return None if chance.random() < 0.05 else Decimal(chance.randrange(0, most, 50)) + Decimal("0.25")

    people: list[Row] = [
        {
            "id": number,
            "full_name": f"{chance.choice(['Ada', 'Ben', 'Cleo', 'Dan', 'Zoë'])} {chance.choice(['Huber', 'Hayes', 'O’Neill'])}",
            "email": f"p{number}@{chance.choice(['example.org', 'example.com', 'mail.test'])}",
            "ssn": f"900-{chance.randrange(100):02}-{number:04}",
            "country": chance.choice(_COUNTRIES),
            "birth": date(1950, 1, 1) + timedelta(chance.randrange(20000)) if chance.random() < 0.9 else None,
            "salary": amount(90000),
        }
        for number in range(150)
    ]
    claims: list[Row] = [
        {
            "id": number,
            "person_id": chance.randrange(170),
            "country": chance.choice(_COUNTRIES),
            "kind": chance.choice(["hail", "water", "theft", "fire"]),
            "amount": amount(9000),
            "filed": datetime.fromisoformat("2021-01-01") + timedelta(hours=chance.randrange(40000)),
            "open": chance.choice([True, False, None]),
        }
        for number in range(400)
    ]
    payments: list[Row] = [
        {
            "id": number,
            "claim_id": chance.randrange(420),
            "iban": f"DE{chance.randrange(40):020}",
            "paid": date(2022, 1, 1) + timedelta(chance.randrange(900)),
            "amount": amount(3000),
        }
        for number in range(500)
    ]
    return {PEOPLE.id: people, CLAIMS.id: claims, PAYMENTS.id: payments}


def _of(department: str) -> tuple[Requirement, ...]:
    return (Requirement("department", frozenset({department})),)


def _only(*tables: Table) -> TableSelector:
    return TableSelector(names=tuple(each.id for each in tables))


_SCHEMAS = frozenset({"work"})
POLICIES: tuple[Policy, ...] = (
    policy(
        "everybody",
        schemas=_SCHEMAS,
        users=_of("staff"),
        masks=(
            masked(Partial(4), "ssn", name="ids"),
            masked(Regex("^[^@]+", "***"), "email", name="mail"),
            masked(DateTrunc(Unit.YEAR), "birth", name="birth"),
            masked(Round("5000"), "salary", name="salary"),
            masked(Constant("withheld"), "full_name", name="names"),
            masked(Hash(), "iban", name="accounts"),
            masked(Round("100"), "amount", name="amounts"),
        ),
    ),
    policy(
        "own-countries",
        schemas=_SCHEMAS,
        users=_of("claims"),
        tables=_only(PEOPLE, CLAIMS),
        row_filter=parse("country IN (user_attr('countries'))"),
        masks=(masked(DateTrunc(Unit.MONTH), "birth"),),
    ),
    policy("large", schemas=_SCHEMAS, users=_of("fraud"), tables=_only(CLAIMS), row_filter=parse("amount > 5000 OR open = true")),
    policy("ledger", schemas=_SCHEMAS, users=_of("finance"), tables=_only(PAYMENTS), row_filter=parse("paid >= '2023-01-01'")),
    policy(
        "pay-roll",
        schemas=_SCHEMAS,
        users=_of("finance"),
        tables=_only(PEOPLE),
        columns=ColumnSelector(names=("id", "salary", "full_name")),
        row_filter=parse("NOT country = 'CH'"),
    ),
)
GUARDRAILS: tuple[Guardrail, ...] = (
    guardrail("ids", tables=_only(PEOPLE), mask_floors=(masked(Hash(), "ssn"),), users=(Requirement("cleared", frozenset({"no"})),)),
    guardrail("births", tables=_only(PEOPLE), mask_floors=(masked(DateTrunc(Unit.QUARTER), "birth"),)),
    guardrail(
        "recent",
        tables=_only(CLAIMS),
        row_restriction=parse("filed >= '2022-01-01' AND NOT country = 'US'"),
        users=(Requirement("employment", frozenset({"contractor"})),),
    ),
    guardrail(
        "no-accounts",
        tables=_only(PAYMENTS),
        denied_columns=ColumnSelector(names=("iban",)),
        users=(Requirement("employment", frozenset({"contractor"})),),
    ),
)
USERS: dict[str, Attributes] = {
    "clerk": user(department=["staff"], cleared=["no"], employment=["staff"]),
    "adjuster": user(department=["staff", "claims"], countries=["DE", "AT"], cleared=["yes"], employment=["staff"]),
    "accountant": user(department=["staff", "finance"], cleared=["yes"], employment=["staff"]),
    "investigator": user(department=["staff", "claims", "fraud", "finance"], countries=["FR"], employment=["contractor"]),
}

STATEMENTS: tuple[str, ...] = (
    "SELECT * FROM people ORDER BY id",
    "SELECT count(*), count(country), count(DISTINCT ssn), count(DISTINCT birth), min(birth), max(salary), sum(salary) FROM people",
    "SELECT split_part(email, '@', 2) AS domain, count(*) FROM people GROUP BY domain ORDER BY domain NULLS LAST",
    "SELECT email, count(*), min(id) FROM people GROUP BY email HAVING count(*) > 1 ORDER BY email",
    "SELECT birth, full_name, count(*) FROM people GROUP BY birth, full_name ORDER BY birth NULLS FIRST, full_name",
    "SELECT DISTINCT birth, country FROM people ORDER BY birth NULLS LAST, country NULLS LAST",
    "SELECT DISTINCT ON (country) country, salary, id FROM people ORDER BY country NULLS LAST, salary DESC NULLS LAST, id",
    "SELECT id FROM people WHERE ssn LIKE '***%' ORDER BY id",
    "SELECT id FROM people WHERE ssn LIKE '900-%-00__' OR full_name = 'withheld' ORDER BY id",
    "SELECT id FROM people WHERE birth = date_trunc('year', birth) AND salary % 5000 = 0 ORDER BY id",
    "SELECT p.country, c.kind, count(*), sum(c.amount) FROM people p JOIN claims c ON c.person_id = p.id GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT c.id, p.full_name, p.ssn FROM claims c LEFT JOIN people p ON p.id = c.person_id ORDER BY c.id",
    "SELECT p.id, c.id FROM people p FULL JOIN claims c ON c.person_id = p.id AND c.open ORDER BY p.id NULLS LAST, c.id NULLS LAST",
    "SELECT a.id, b.id FROM payments a JOIN payments b ON a.iban = b.iban AND a.id < b.id ORDER BY 1, 2 LIMIT 50",
    "SELECT a.id, b.id FROM people a CROSS JOIN people b WHERE a.birth = b.birth AND a.id < b.id ORDER BY 1, 2",
    "SELECT id, kind, amount, rank() OVER w, sum(amount) OVER (w ROWS UNBOUNDED PRECEDING) FROM claims"
    " WINDOW w AS (PARTITION BY kind ORDER BY amount DESC NULLS LAST, id) ORDER BY kind, id",
    "SELECT id, filed - lag(filed) OVER (PARTITION BY country ORDER BY filed, id) AS gap FROM claims ORDER BY id",
    "SELECT id, ntile(4) OVER (ORDER BY salary NULLS FIRST, id), first_value(email) OVER (PARTITION BY country ORDER BY id)"
    " FROM people ORDER BY id",
    "WITH large AS (SELECT person_id, sum(amount) AS total FROM claims GROUP BY person_id)"
    " SELECT p.id, p.email, total FROM people p JOIN large ON large.person_id = p.id WHERE total > 5000 ORDER BY total DESC, p.id",
    "WITH RECURSIVE years(y) AS (SELECT 2021 UNION ALL SELECT y + 1 FROM years WHERE y < 2025)"
    " SELECT y, count(c.id), max(c.amount) FROM years LEFT JOIN claims c ON extract(year FROM c.filed) = y GROUP BY y ORDER BY y",
    "SELECT country FROM people UNION SELECT country FROM claims ORDER BY 1",
    "SELECT country FROM people INTERSECT ALL SELECT country FROM claims ORDER BY 1",
    "SELECT id FROM people EXCEPT SELECT person_id FROM claims ORDER BY 1",
    "SELECT amount FROM claims UNION ALL SELECT amount FROM payments ORDER BY 1",
    "SELECT p.id, last.id, last.amount FROM people p, LATERAL"
    " (SELECT id, amount FROM claims c WHERE c.person_id = p.id ORDER BY filed DESC, id LIMIT 2) AS last ORDER BY 1, 2",
    "SELECT id FROM claims c WHERE EXISTS (SELECT FROM payments p WHERE p.claim_id = c.id AND p.amount >= c.amount) ORDER BY id",
    "SELECT id FROM people WHERE id NOT IN (SELECT person_id FROM claims WHERE amount IS NOT NULL) ORDER BY id",
    "SELECT id, amount FROM claims c WHERE amount > (SELECT avg(amount) FROM claims WHERE kind = c.kind) ORDER BY amount DESC, id",
    "SELECT kind, count(*) FILTER (WHERE open), sum(amount) FILTER (WHERE open IS NOT true), bool_or(open)"
    " FROM claims GROUP BY kind ORDER BY kind",
    "SELECT country, kind, sum(amount), grouping(country, kind) FROM claims GROUP BY ROLLUP (country, kind) ORDER BY 4, 1 NULLS LAST, 2, 3",
    "SELECT kind, percentile_disc(0.5) WITHIN GROUP (ORDER BY amount), mode() WITHIN GROUP (ORDER BY country)"
    " FROM claims GROUP BY kind ORDER BY 1",
    "SELECT country, string_agg(full_name, ',' ORDER BY full_name, id), array_agg(ssn ORDER BY ssn, id)"
    " FROM people GROUP BY country ORDER BY 1",
    "SELECT iban, count(*), sum(amount) FROM payments GROUP BY iban ORDER BY 2 DESC, 3 DESC NULLS LAST, 1 LIMIT 10",
    "SELECT id, amount FROM payments ORDER BY amount DESC NULLS LAST, id OFFSET 5 FETCH FIRST 20 ROWS WITH TIES",
    "SELECT CASE WHEN amount < 1000 THEN 'small' WHEN amount >= 1000 THEN 'large' ELSE 'unknown' END AS size, count(*)"
    " FROM payments GROUP BY 1 ORDER BY 1",
    "SELECT date_trunc('month', filed) AS month, kind, avg(amount)::numeric(12, 4) FROM claims GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT p.id, row_to_json(p)::text FROM people p WHERE p.salary > 40000 ORDER BY p.id",
    "SELECT c.id FROM claims c JOIN (VALUES ('hail', 1), ('fire', 2)) AS wanted(kind, place) USING (kind) ORDER BY place, c.id LIMIT 25",
)
