"""The agent's questions: the SQL of the story. The role decides which rows and columns the tables have."""

from typing import LiteralString

TOTALS: LiteralString = """\
SELECT c.country, c.status, count(*) AS claims, count(DISTINCT p.person_id) AS people, sum(c.amount) AS amount
  FROM claims AS c JOIN people AS p USING (person_id)
 GROUP BY c.country, c.status
 ORDER BY c.country, c.status"""

WAITING: LiteralString = """\
SELECT c.claim_id, c.country, c.amount, p.full_name, p.ssn, p.birth_date, c.note
  FROM claims AS c JOIN people AS p USING (person_id)
 WHERE c.status = 'open'
 ORDER BY c.amount DESC, c.claim_id
 LIMIT 3"""

EVERYBODY: LiteralString = "SELECT person_id, full_name, ssn, birth_date, country FROM people ORDER BY person_id"
CUSTOMERS: LiteralString = "SELECT PERSON_ID, FULL_NAME, SSN, BIRTH_DATE, COUNTRY, NOTE FROM CUSTOMERS ORDER BY PERSON_ID"
"""The question for the second platform, with its names."""
ONE_OF_EACH: LiteralString = """\
SELECT DISTINCT ON (country) person_id, full_name, ssn, birth_date, country
  FROM people
 ORDER BY country, person_id"""

EVERY_CLAIM: LiteralString = "SELECT claim_id, policy_id, person_id, country, filed_on, amount, status, note FROM claims ORDER BY claim_id"

GUESS: LiteralString = """\
SELECT claim_id FROM claims
 WHERE claim_id = ANY (ARRAY[{claim}])
   AND person_id <= ANY (ARRAY[{guess}]) AND person_id > ANY (ARRAY[(SELECT 1 / (random() * 0)::int)])"""
"""Fails if the server compares the guess with the person of that claim and the guess is not too low. Conditions of equal cost are evaluated
in order, so that no other claim is compared.
"""

LONG: LiteralString = """\
SELECT count(*) AS similar
  FROM claims AS a, claims AS b, claims AS c, claims AS d
 WHERE abs(a.amount - b.amount) + abs(c.amount - d.amount) < 10"""
"""A query that takes days."""
LONG_OF_PEOPLE: LiteralString = """\
SELECT count(*) AS similar
  FROM people AS a, people AS b, people AS c, people AS d, people AS e, people AS f
 WHERE a.full_name < b.full_name AND c.full_name < d.full_name AND e.birth_date < f.birth_date"""
"""The same, of a role that reads people alone."""
