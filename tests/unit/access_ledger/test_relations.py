"""The tables that the text of a statement names, also where an agent tries to hide one."""

import pytest

from rolevend.access_ledger.relations import MAX_PARSED, NOTHING, SNOWFLAKE, TableFinder, named_tables

LONGEST = "a" * 63
"""The longest name; PostgreSQL cuts the rest."""


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("SELECT 1", []),
        ("SELECT * FROM people", ["people"]),
        ('SELECT * FROM "People" p, claims.CLAIMS c', ["People", "claims.claims"]),
        ("SELECT (SELECT max(a) FROM x) FROM y WHERE z IN (SELECT b FROM w)", ["y", "x", "w"]),
        ("SELECT * FROM generate_series(1, 2)", []),
        ("SELECT 1; SELECT * FROM z", ["z"]),
        ("TABLE people", ["people"]),
        ("COPY people TO STDOUT", ["people"]),
        ("COPY (SELECT * FROM a) TO STDOUT", ["a"]),
        ("DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT id FROM people", ["people"]),
        ('DECLARE "c CURSOR FOR SELECT 1 --" CURSOR FOR SELECT id FROM people', ["people"]),
        ('PREPARE "p AS SELECT 1 --" AS SELECT email FROM people', ["people"]),
        ('PREPARE "a""b" (integer) AS SELECT email FROM people', ["people"]),
        ("SELECT pg_catalog.lower(a), date_trunc('day', b), age(c), a.b FROM people a", ["people"]),
        ("PREPARE p (integer, text) AS SELECT email FROM people WHERE id = $1", ["people"]),
        ("EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM x", ["x"]),
        ("EXPLAIN (SELECT * FROM x)", ["x"]),
        ("explain analyze select * from x", ["x"]),
        ("WITH a AS (SELECT * FROM b) SELECT * FROM a, c", ["c", "b"]),
        ("WITH people AS (SELECT * FROM people) SELECT * FROM people", ["people"]),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a, b", ["b"]),
        ("WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT * FROM a) SELECT * FROM a", []),
        ("SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) s, a", ["a"]),
        ("WITH a AS (SELECT 1) SELECT * FROM s.a", ["s.a"]),
        ("INSERT INTO t SELECT * FROM u", ["t", "u"]),
        ('SELECT * FROM Übung, data$2024, €1, "Été"', ["Übung", "data$2024", "€1", "Été"]),
        ("WITH é AS (SELECT 1) SELECT * FROM É", ["É"]),
        ("WITH k AS (SELECT 1) SELECT * FROM \u212a", ["\u212a"]),
        (f'SELECT * FROM {LONGEST}xyz, s."{LONGEST}z", {"é" * 32}', [LONGEST, f"s.{LONGEST}", "é" * 31]),
        (f"WITH {LONGEST}a AS (SELECT 1) SELECT * FROM {LONGEST}b", []),
        ("(WITH a AS (SELECT 1) TABLE a) UNION ALL TABLE a", ["a"]),
        ("SELECT 1 a$$, (SELECT max(email) FROM people) b$$", ["people"]),
        ("SELECT /*+ ' */ email FROM people WHERE '*/ 1 AS x --' <> '' --\\", ["people"]),
        ("FETCH 2 FROM c", []),
        ("BEGIN", []),
    ],
)
def test_tables_are_found(text: str, tables: list[str]):
    found = named_tables(text)

    assert sorted(found.names) == sorted(tables)
    assert found.understood
    assert TableFinder().find(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "EXECUTE p (3)",
        "DO $$ BEGIN PERFORM 1 FROM x; END $$",
        "CALL p()",
        "SELEKT 1",
        "SELECT '",
        "BEGIN; EXECUTE p",
        "SELECT 'a\\'' FROM people --'",
        "SELECT * FROM ts_stat('SELECT to_tsvector(a) FROM people')",
        "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, plainto_tsquery(email) FROM people')",
        "SELECT U&\"query\\005fto_xml\"('SELECT * FROM people', true, false, '')",
        "SELECT * FROM U&\"p!0065ople\" UESCAPE '!'",
        "SELECT $€$ ' $€$, email FROM people --'",
        "COPY BINARY people TO STDOUT",
        "CREATE TEMPORARY TABLE x AS EXECUTE p",
        "EXPLAIN ANALYZE EXECUTE p",
        "SELECT pg_catalog.table_to_xml('people', true, false, '')",
        "SELECT tools.risk(1)",
        "SELECT * FROM tools.risk(1)",
        "SELECT tools.sum(1)",
        "SELECT claims.tools.risk(1)",
        "SELECT * FROM claims.tools.risk(1)",
        "SELECT " + "(" * 5000 + ")" * 5000,
        "SELECT " + "CASE WHEN a THEN " * 3000,
        "SELECT " + "NOT " * 4000 + "a FROM x WHERE",
        "SELECT " + "x, " * MAX_PARSED + "x FROM t",
        "SELECT a" + "::int" * 1500,
        "SELECT a::" + "STRUCT(" * 150 + "a int" + ")" * 150,
        "SELECT - " + "- " * 1500 + "a FROM x",
        "\0",
    ],
    ids=lambda text: text[:20],
)
def test_a_text_that_is_not_understood_is_said_to_be(text: str):
    assert not TableFinder().find(text).understood


def test_a_literal_hides_no_table_and_shares_the_result_with_other_values():
    finder = TableFinder()
    hiding = "SELECT 1 -- it's\n FROM secret WHERE a = 'x'"

    assert finder.find("SELECT 1 FROM t WHERE a = 'x'").names == ("t",)
    assert finder.find("SELECT 2 FROM t WHERE a = 'it''s; FROM u'").names == ("t",)
    assert finder.find("SELECT 2.5 FROM t WHERE a > interval '1 day'").names == ("t",)
    assert finder.find(hiding).names == ("secret",)
    assert finder.find("SELECT 2 /* traceparent='00-1' */ FROM t WHERE a = 'x' -- it's").names == ("t",)
    assert finder.find("SELECT 1 /* it's */ FROM secret WHERE a = 'x'").names == ("secret",)
    assert finder.find("SELECT 1 /* /* */ ' */ FROM secret WHERE a = ' '").names == ("secret",)
    assert finder.find("SELECT '/*' FROM secret WHERE a = '*/'").names == ("secret",)
    assert finder.find("SELECT '--' FROM secret").names == ("secret",)
    assert finder.find("SELECT 1--\r, 'FROM t, '\n FROM secret").names == ("secret",)
    assert finder.find("SELECT E'\\' FROM secret, ' FROM t").names == ("t",)
    assert finder.find("SELECT $$'$$ FROM secret WHERE a = $$'$$").names == ("secret",)
    assert finder.find("""SELECT "a'" FROM secret WHERE b = 'x'""").names == ("secret",)
    assert finder.find(f"SELECT 1 FROM t WHERE a IN ({'1234567, ' * 4000}8) /*{'x' * MAX_PARSED}*/").names == ("t",)
    assert finder.find("x" * (MAX_PARSED + 1)) == NOTHING


@pytest.mark.parametrize("text", ["SELECT * FROM t", "select * from t", "  SELECT * FROM t", "WITH a AS (SELECT 1) SELECT * FROM a"])
def test_the_command_is_named(text: str):
    assert named_tables(text).command == "SELECT"


@pytest.mark.parametrize(
    ("text", "command"),
    [("(SELECT * FROM t)", "SELECT"), ("COMMIT;SELECT * FROM t", "COMMIT"), ("DELETE FROM t", "DELETE"), ("VALUES (1)", "SELECT")],
)
def test_the_command_is_the_first_word(text: str, command: str):
    assert named_tables(text).command == command


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ('SELECT * FROM people, "Odd", prod.hr."x"', ["PEOPLE", "Odd", "PROD.HR.x"]),
        ("WITH people AS (SELECT * FROM people) SELECT 1 FROM people", ["PEOPLE"]),
        ("SELECT 1 // '\n FROM secret // '\n", ["SECRET"]),
        ("SELECT 1 -- '\n FROM secret -- '\n", ["SECRET"]),
        ("SELECT * FROM secret AT(OFFSET => -60)", ["SECRET"]),
        ("CREATE TEMPORARY TABLE x AS SELECT * FROM secret", ["X", "SECRET"]),
        ("USE ROLE PUBLIC", []),
        ("SHOW TABLES", []),
        ("BEGIN TRANSACTION", []),
        ("ALTER SESSION SET QUERY_TAG = 'a'", []),
    ],
)
def test_tables_are_found_as_snowflake_reads_a_text(text: str, tables: list[str]):
    found = TableFinder(SNOWFLAKE).find(text)

    assert sorted(found.names) == sorted(tables)
    assert found.understood


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM IDENTIFIER('SEC' || 'RET')",
        "SELECT * FROM identifier($t)",
        "SELECT * FROM TABLE('SECRET')",
        "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))",
        "EXECUTE IMMEDIATE 'SELECT * FROM secret'",
        "EXECUTE IMMEDIATE $$SELECT * FROM secret$$",
        "BEGIN LET x := (SELECT COUNT(*) FROM secret); RETURN x; END",
        "SHOW TABLES ->> SELECT * FROM secret",
        "SELECT * FROM @stage/file",
        "SELECT 'a\\' FROM secret //'",
        "CALL read_it()",
        "SELECT sem.f(1)",
        "SELECT prod.sem.f(1)",
        "SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('secret')",
        "(" * 500 + "SELECT 1",
    ],
    ids=lambda text: text[:30],
)
def test_a_text_of_snowflake_that_may_read_more_is_said_to(text: str):
    assert not TableFinder(SNOWFLAKE).find(text).understood
