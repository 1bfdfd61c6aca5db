"""Asks two databases one question for a person, under one role, as the agent `chatbot` of 04-over-http: ask.py PERSON.

Which customers have most claims that are open? Customers are in Snowflake, claims in PostgreSQL. Each answer holds what the person may see.
"""

import sys
from os import environ
from pathlib import Path

from rolevend_client import Rolevend

CLAIMS = "SELECT person_id, count(*) FROM claims WHERE status = 'open' GROUP BY person_id"
CUSTOMERS = "SELECT PERSON_ID, FULL_NAME, COUNTRY, NOTE FROM CUSTOMERS"

tokens = Path(environ["TOKENS"])
client = Rolevend(environ["ROLEVEND_URL"], token=lambda: (tokens / "chatbot").read_text())

with client.vend((tokens / sys.argv[1]).read_text(), platform=("warehouse", "crm")) as role:
    print(role.name)
    claims = dict(role.connect().execute(CLAIMS).fetchall())
    customers = role.connect_snowflake().cursor().execute(CUSTOMERS).fetchall()
    most = sorted(customers, key=lambda each: (-claims.get(each[0], 0), each[0]))[:3]
    for person, name, country, note in most:
        print(claims.get(person, 0), "open", country, name, "-", note)
