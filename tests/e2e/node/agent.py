"""An agent that runs in a pod: it vends by one call of the API, asks its question with the credential in the answer, and releases.

It knows nothing of rolevend but its environment, and is run as a text (`python -c`), in any image with a client of PostgreSQL. It prints
one line of JSON: what it was answered, what it read, and what it could not do afterwards.
"""

import json
import os
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psycopg

QUESTION = "SELECT country, count(*) FROM claims GROUP BY country ORDER BY country"
TRUSTED = ssl.create_default_context(cafile=os.environ["ROLEVEND_CA_FILE"])


def call(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and answer. The token is read for each call, since it changes."""
    token = Path(os.environ["ROLEVEND_TOKEN_FILE"]).read_text()
    request = urllib.request.Request(
        os.environ["ROLEVEND_URL"] + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method=method,
    )
    try:
        answer = urllib.request.urlopen(request, timeout=30, context=TRUSTED)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    said = answer.read()
    return answer.status, json.loads(said) if said else None


def ask(uri: str, authorities: str) -> dict[str, int]:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(authorities)
        file.flush()
        with psycopg.connect(uri, sslrootcert=file.name, connect_timeout=10) as connection:
            return dict(connection.execute(QUESTION).fetchall())


def main(wanted: Any) -> dict[str, Any]:
    status, answer = call("POST", "/v1/vended-roles", wanted)
    if status != 201:
        return {"status": status, "answer": answer}
    (platform,) = answer["platforms"]
    credential = platform["credential"]
    told: dict[str, Any] = {"status": status, "role": answer["roleName"], "proof": answer["user"]["proof"]}
    try:
        told["rows"] = ask(credential["uri"], credential["caCertificates"])
    finally:
        told["released"], _ = call("DELETE", answer["links"]["self"])
    try:
        ask(credential["uri"], credential["caCertificates"])
    except psycopg.OperationalError as refusal:
        told["afterwards"] = str(refusal)
    return told


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
