"""Asks the same question for a person, over HTTP, as the agent `chatbot`: ask.py PERSON.

`make dev` says where the API is, and keeps fresh tokens of the agent and of each person in a folder: one for each role.
"""

import sys
from os import environ
from pathlib import Path

from rolevend_client import Rolevend

QUESTION = "SELECT country, count(*) FROM claims GROUP BY country ORDER BY country"

tokens = Path(environ["TOKENS"])
client = Rolevend(environ["ROLEVEND_URL"], token=lambda: (tokens / "chatbot").read_text())

with client.vend((tokens / sys.argv[1]).read_text(), platform="warehouse") as role:
    print(role.name)
    for country, claims in role.connect().execute(QUESTION):
        print(country, claims)
