"""Data of a fictitious insurer: people, policies, claims and payments, deterministic for a number of claims.

The rows also stay in memory, so that expected answers do not depend on the database.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import NamedTuple

import psycopg
from psycopg import sql

from rolevend.policytools.embedded.connection import Connection

OWNER = "app_owner"
"""Owns the tables; not a superuser, and without login."""
DATABASE = "claims"

_SEED = 20_261_124
_COUNTRIES = {"DE": 25, "AT": 8, "CH": 7, "FR": 20, "GB": 15, "US": 25}
_MOVED_PERCENT = 4
"""The percentage of people who live in another country than that of their policy, so that joins apply both row filters."""
_STATUS = {"open": 30, "paid": 55, "denied": 15}
_PRODUCTS = ("home", "motor", "travel", "liability")
_GERMAN = (
    ("Lena", "Paul", "Emma", "Jonas", "Mia", "Felix", "Clara", "Anton", "Greta", "Moritz"),
    ("Bauer", "Huber", "Schmid", "Wagner", "Keller", "Vogel", "Brandt", "Lorenz", "Winkler", "Seidel"),
)
_FRENCH = (
    ("Chloé", "Louis", "Inès", "Hugo", "Manon", "Jules", "Léa", "Adèle", "Noé", "Zoé"),
    ("Moreau", "Girard", "Lambert", "Fontaine", "Rousseau", "Mercier", "Blanc", "Dupuy", "Carpentier", "Noël"),
)
_ENGLISH = (
    ("Ava", "Noah", "Grace", "Owen", "Ruby", "Caleb", "Hazel", "Miles", "Iris", "Wyatt"),
    ("Parker", "Hayes", "Coleman", "Brooks", "Ellis", "Porter", "Warren", "Reed", "Foster", "Ng"),
)
_NAMES = {"DE": _GERMAN, "AT": _GERMAN, "CH": _GERMAN, "FR": _FRENCH, "GB": _ENGLISH, "US": _ENGLISH}
_CAUSES = ("water in the kitchen", "hail on the car", "a stolen bicycle", "a broken window", "a missed flight", "a bump while parking")

_TABLES = """
CREATE SCHEMA claims;
CREATE TABLE claims.people   (person_id bigint PRIMARY KEY, full_name text, ssn text, birth_date date, country text);
CREATE TABLE claims.policies (policy_id bigint PRIMARY KEY, person_id bigint, product text, country text, start_date date, premium numeric);
CREATE TABLE claims.claims   (claim_id bigint PRIMARY KEY, policy_id bigint, person_id bigint, country text, filed_on date,
                              amount numeric, status text, note text);
CREATE TABLE claims.payments (payment_id bigint PRIMARY KEY, claim_id bigint, country text, paid_on date, amount numeric, iban text);
"""
_INDEXES = """
CREATE INDEX ON claims.people (country);
CREATE INDEX ON claims.claims (country);
CREATE INDEX ON claims.claims (person_id);
ANALYZE claims.people, claims.policies, claims.claims, claims.payments;
"""


class Person(NamedTuple):
    """A row of `people`, original or as seen through a role: a hidden value is None."""

    person_id: int
    full_name: str | None
    ssn: str | None
    birth_date: date | None
    country: str


class Policy(NamedTuple):
    policy_id: int
    person_id: int
    product: str
    country: str
    start_date: date
    premium: Decimal


class Claim(NamedTuple):
    claim_id: int
    policy_id: int
    person_id: int
    country: str
    filed_on: date
    amount: Decimal
    status: str
    note: str


class Payment(NamedTuple):
    payment_id: int
    claim_id: int
    country: str
    paid_on: date
    amount: Decimal
    iban: str


@dataclass(frozen=True, slots=True)
class Seed:
    """All rows, ordered by id, from 1."""

    people: tuple[Person, ...]
    policies: tuple[Policy, ...]
    claims: tuple[Claim, ...]
    payments: tuple[Payment, ...]

    def person(self, person_id: int) -> Person:
        return self.people[person_id - 1]

    def claim(self, claim_id: int) -> Claim:
        return self.claims[claim_id - 1]


def generate(claims: int) -> Seed:
    """Generate this many claims, half as many policies, and a quarter as many people. Deterministic on every machine."""
    chance = random.Random(_SEED)  # noqa: S311 - deterministic on purpose
    people = tuple(_person(chance, number) for number in range(1, claims // 4 + 1))
    policies = tuple(_policy(chance, number, people) for number in range(1, claims // 2 + 1))
    filed = tuple(_claim(chance, number, policies, people) for number in range(1, claims + 1))
    paid = tuple(_payment(number, claim) for number, claim in enumerate((claim for claim in filed if claim.status == "paid"), 1))
    return Seed(people, policies, filed, paid)


def load(superuser: Connection, seed: Seed) -> Connection:
    """Create and fill the database `claims`, with a realistic owner. Returns the superuser's connection to it."""
    with psycopg.connect(superuser.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(OWNER)))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(OWNER)))
    there = superuser.to_database(DATABASE)
    with psycopg.connect(there.dsn) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        connection.execute(_TABLES)
        for table in ("people", "policies", "claims", "payments"):
            _copy(connection, table, getattr(seed, table))
        connection.execute(_INDEXES)
    return there


def _copy(connection: psycopg.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    """Copy rows; no value contains a tab, a backslash or a line break, which COPY would require to be escaped."""
    with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier("claims", table))) as copy,
    ):
        for block in _blocks(rows):
            copy.write(block)


def _blocks(rows: Iterable[tuple[object, ...]], size: int = 5_000) -> Iterator[str]:
    lines: list[str] = []
    for row in rows:
        lines.append("\t".join(map(str, row)) + "\n")
        if len(lines) == size:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def _pick(chance: random.Random, weights: dict[str, int]) -> str:
    return chance.choices(tuple(weights), tuple(weights.values()))[0]


def _person(chance: random.Random, number: int) -> Person:
    country = _pick(chance, _COUNTRIES)
    first, last = (chance.choice(names) for names in _NAMES[country])
    # Numbers from 900 on are not assigned.
    ssn = f"{chance.randrange(900, 1000)}-{chance.randrange(10, 100)}-{chance.randrange(10_000):04}"
    born = date(1940, 1, 1) + timedelta(days=chance.randrange(365 * 65))
    return Person(number, f"{first} {last}", ssn, born, country)


def _policy(chance: random.Random, number: int, people: tuple[Person, ...]) -> Policy:
    holder = chance.choice(people)
    country = _pick(chance, _COUNTRIES) if chance.randrange(100) < _MOVED_PERCENT else holder.country
    start = date(2020, 1, 1) + timedelta(days=chance.randrange(1_500))
    return Policy(number, holder.person_id, chance.choice(_PRODUCTS), country, start, _cents(chance, 8_000, 90_000))


def _claim(chance: random.Random, number: int, policies: tuple[Policy, ...], people: tuple[Person, ...]) -> Claim:
    policy = chance.choice(policies)
    name = people[policy.person_id - 1].full_name or ""
    note = f"{chance.choice(_CAUSES)}; asked {name.split()[0]} for pictures"
    filed = date(2024, 7, 1) + timedelta(days=chance.randrange(850))
    amount = _cents(chance, 5_000, 2_500_000)
    return Claim(number, policy.policy_id, policy.person_id, policy.country, filed, amount, _pick(chance, _STATUS), note)


def _payment(number: int, claim: Claim) -> Payment:
    iban = f"{claim.country}00DEMO{number:016}"
    return Payment(number, claim.claim_id, claim.country, claim.filed_on + timedelta(days=21), claim.amount, iban)


def _cents(chance: random.Random, low: int, high: int) -> Decimal:
    return Decimal(chance.randrange(low, high)) / 100
