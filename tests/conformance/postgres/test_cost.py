"""What a vend costs does not grow with what it lets read: that was paid when the profile was built."""

from typing import Any

import psycopg
import pytest

from tests.conformance.bench import PostgresBench, profile, shape, vend, vended
from tests.conformance.bench import lease as lease_of

pytestmark = pytest.mark.both_installs

FEW = 3


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What this process asks any server from now on."""
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def hearing(cursor: psycopg.Cursor[Any], query: Any, *arguments: Any, **options: Any) -> psycopg.Cursor[Any]:
        statements.append(query if isinstance(query, str) else query.as_string())
        return execute(cursor, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", hearing)
    return statements


def test_a_vend_takes_the_same_few_statements_and_rights_for_one_table_and_for_fifty(bench: PostgresBench, heard: list[str]):
    said, held = {}, {}
    for count in (1, 50):
        schema = bench.schema()
        tables = [bench.table([("id", "integer")], [(7,)], name=f"t{number}", schema=schema) for number in range(count)]
        of = profile(*map(shape, tables))
        vended(bench.platform, of)  # builds the profile, and connects
        wanted = lease_of(of)
        heard.clear()

        credential = vend(bench.platform, of, wanted)

        said[count] = list(heard)
        rights = "SELECT count(*) FROM pg_shdepend WHERE refobjid = '\"{0}\"'::regrole"
        memberships = "SELECT count(*) FROM pg_auth_members WHERE '\"{0}\"'::regrole IN (member, roleid)"
        held[count] = [bench.value(query.format(wanted.role)) for query in (rights, memberships)]
        session = bench.log_in(credential)
        assert all(session.rows(f"SELECT id FROM {table.id.name}") == [(7,)] for table in tables)
    assert said[1] == said[50]
    assert 0 < len(said[1]) <= FEW, said[1]
    assert held[1] == held[50]
