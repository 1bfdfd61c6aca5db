"""The parts of a probe: see `probes`. Only texts.

{c} is the column, {k} picks the hidden row, {g} is the guess, {s} the sentinel, {w} all three, {v} the view, which is `t`, and {three} some
of its columns. Within a guess {v} is a literal of the column's type.
"""

from collections.abc import Mapping, Sequence

FORMS: Sequence[str] = (
    "{c} = {v}",
    "{c} = ANY (ARRAY[{v}])",
    "{c} <= {v}",
    "{c} > {v}",
    "{c} BETWEEN {v} AND {v}",
    "{c} IN ({v}, {v})",
    "{c} <> ALL (ARRAY[{v}, {v}])",
    "{c} <= ANY (ARRAY[{v}])",
    "{v} >= {c}",
    "({c}, t.id) = ({v}, {hidden})",
    "({c}, t.id) <= ({v}, {hidden})",
    "NOT ({c} = {v})",
    "{c} IS DISTINCT FROM {v}",
    "({c} = {v}) IS NOT TRUE",
    "CASE WHEN {c} = {v} THEN true ELSE false END",
    "coalesce({c} = {v}, false)",
    "nullif({c}, {v}) IS NULL",
    "({c} = {v} OR {c} = {v})",
    "{c} = (SELECT {v})",
    "{c} IN (SELECT {v})",
    "greatest({c}, {v}) = {v}",
)
"""With a value that the hidden row has they are true there and with the value below it false, or the other way round."""
OF_TYPES: Mapping[str, Sequence[tuple[str, str]]] = {
    "nothing": (
        ("{c} IS NULL", "t.region IS NULL"),
        ("({c} IS NULL) = true", "(t.region IS NULL) = true"),
        ("num_nulls({c}) = 1", "num_nulls(t.region) = 1"),
        ("coalesce({c} IS NULL, false)", "coalesce(t.region IS NULL, false)"),
        ("{c} IS NOT DISTINCT FROM NULL", "t.region IS NOT DISTINCT FROM NULL"),
        ("({c} IS NULL OR {c} = 99)", "(t.region IS NULL OR t.region = '99')"),
    ),
    "boolean": (
        ("{c}", "NOT {c}"),
        ("{c} = true", "{c} = false"),
        ("{c} IS TRUE", "{c} IS FALSE"),
        ("{c} IS NOT FALSE", "{c} IS UNKNOWN"),
        ("{c} = ANY (ARRAY[true])", "{c} = ANY (ARRAY[false])"),
    ),
    "integer[]": (
        ("{c}[1] = 7", "{c}[1] = 8"),
        ("{c}[1] = ANY (ARRAY[7])", "{c}[1] = ANY (ARRAY[8])"),
        ("({c}[1] IS NULL) = ({c}[1] = 8)", "({c}[1] IS NULL) = ({c}[1] = 7)"),
        ("{c}[1:1] = ARRAY[7]", "{c}[1:1] = ARRAY[8]"),
        ("7 = ANY ({c})", "8 = ANY ({c})"),
        ("{c} @> ARRAY[7]", "{c} @> ARRAY[8]"),
        ("{c} && ARRAY[7]", "{c} && ARRAY[8]"),
    ),
    "jsonb": (
        ("{c}['a'] = '7'", "{c}['a'] = '8'"),
        ("{c}['a'] IS NOT NULL", "{c}['b'] IS NOT NULL"),
        ("{c} ->> 'a' = '7'", "{c} ->> 'a' = '8'"),
        ("{c} @> '{\"a\": 7}'", "{c} @> '{\"a\": 8}'"),
        ("{c} ? 'a'", "{c} ? 'b'"),
        ("{c} @? '$.a'", "{c} @? '$.b'"),
    ),
    "text": (
        ("{c} LIKE 'mid%'", "{c} LIKE 'low%'"),
        ("{c} ~ '^mid'", "{c} ~ '^low'"),
        ("starts_with({c}, 'mid')", "starts_with({c}, 'low')"),
        ("lower({c}) = 'mid'", "lower({c}) = 'low'"),
        ("length({c}) > 2 AND {c} = 'mid'", "length({c}) > 2 AND {c} = 'low'"),
        ("{c} COLLATE \"C\" = 'mid'", "{c} COLLATE \"C\" = 'low'"),
    ),
    "int4range": (("{c} @> 12", "{c} @> 2"), ("{c} && '[12,13)'", "{c} && '[2,3)'"), ("upper({c}) = 20", "upper({c}) = 10")),
    "inet": (
        ("{c} <<= '10.0.1.0/24'", "{c} <<= '10.0.0.0/24'"),
        ("family({c}) = 4 AND {c} = '10.0.1.1'", "family({c}) = 4 AND {c} = '10.0.0.1'"),
    ),
    "integer": (("{c} % 40 = 20", "{c} % 40 = 10"), ("{c} + 1 = 21", "{c} + 1 = 11"), ("{c} = 20::bigint", "{c} = 10::bigint")),
    "tsvector": (("{c} @@ 'mid'", "{c} @@ 'low'"),),
}
"""By type: a condition that holds in the hidden row, and one that does not."""

SENTINELS: Mapping[str, str] = {
    "division": "t.id > ANY (ARRAY[(SELECT 1/(random()*0)::int)])",
    "division, as a number": "t.id <> (SELECT 1/(random()*0)::int)",
    "division by the row": "t.id / (t.id - {hidden}) > -99",
    "cast": "t.id <> (SELECT ('x' || (random()*0)::int)::int)",
    "two rows of one": "t.id <> (SELECT n FROM generate_series(1, 2 + (random()*0)::int) AS n)",
    "setting": "t.id <> (SELECT -9 * length(set_config('probe.hit', 'yes', false)))",
    "setting in an array": "t.id > ANY (ARRAY[(SELECT -9 * length(set_config('probe.hit', 'yes', true)))])",
    "random number": "t.id <> (SELECT (random()*0)::int - 9)",
    "seed": "t.id <> (SELECT length(setseed(0.25)::text) - 9)",
    "transaction": "t.id <> (SELECT length(pg_current_xact_id()::text) - 99)",
    "warning": "t.id <> (SELECT pg_cancel_backend(-1)::int - 9)",
    "other table": "t.id <> (SELECT coalesce(max(o.id), 0) - 99 FROM {other} AS o)",
    "sleep": "t.id <> (SELECT length(pg_sleep(0)::text) - 9)",
    "statement in a function": "t.id <> (SELECT -9 FROM ts_stat('SELECT to_tsvector(set_config(''probe.hit'', ''yes'', false))') LIMIT 1)",
    "": "true",
}
"""Each reveals its evaluation in an error, a notice, a setting, a counter or the next random number."""

POSITIONS: Mapping[str, str] = {
    "where": "SELECT count(*) FROM {v} AS t WHERE {w}",
    "rows": "SELECT t.id FROM {v} AS t WHERE {w}",
    "every row": "SELECT count(*) FROM {v} AS t WHERE {g} AND {s}",
    "sentinel first": "SELECT count(*) FROM {v} AS t WHERE {s} AND {g} AND {k}",
    "beside another": "SELECT count(*) FROM {v} AS t WHERE {k} AND ({g} OR t.id = 99) AND {s}",
    "inner join": "SELECT count(*) FROM generate_series(0, 5) AS n JOIN {v} AS t ON t.id = n AND {w}",
    "left join": "SELECT count(t.id) FROM generate_series(0, 5) AS n LEFT JOIN {v} AS t ON t.id = n AND {w}",
    "right join": "SELECT count(t.id) FROM {v} AS t RIGHT JOIN generate_series(0, 5) AS n ON t.id = n AND {w}",
    "full join": "SELECT count(t.id) FROM (SELECT t.id FROM {v} AS t WHERE {w}) AS t FULL JOIN generate_series(0, 5) AS n ON t.id = n",
    "semi join": "SELECT count(*) FROM generate_series(0, 5) AS n WHERE EXISTS (SELECT FROM {v} AS t WHERE t.id = n AND {w})",
    "anti join": "SELECT count(*) FROM generate_series(0, 5) AS n WHERE NOT EXISTS (SELECT FROM {v} AS t WHERE t.id = n AND {w})",
    "in": "SELECT count(*) FROM generate_series(0, 5) AS n WHERE n IN (SELECT t.id FROM {v} AS t WHERE {w})",
    "not in": "SELECT count(*) FROM generate_series(0, 5) AS n WHERE n NOT IN (SELECT t.id FROM {v} AS t WHERE {w})",
    "lateral": "SELECT count(*) FROM generate_series(0, 5) AS n, LATERAL (SELECT FROM {v} AS t WHERE t.id = n AND {w} LIMIT 1) AS l",
    "self join": "SELECT count(*) FROM {v} AS u JOIN {v} AS t ON u.id = t.id WHERE {w}",
    "self join on the column": "SELECT count(*) FROM {v} AS u RIGHT JOIN {v} AS t ON u.{c} IS NOT DISTINCT FROM t.{c} AND {w}",
    "join of three": "SELECT count(*) FROM {v} AS t JOIN {v} AS u ON t.id = u.id JOIN {v} AS x ON u.id = x.id WHERE {w}",
    "union all": "SELECT count(*) FROM (SELECT * FROM {v} UNION ALL SELECT * FROM {v}) AS t WHERE {w}",
    "union": "SELECT count(*) FROM ({three} UNION {three}) AS t WHERE {w}",
    "intersect": "SELECT count(*) FROM ({three} INTERSECT {three}) AS t WHERE {w}",
    "except": "SELECT t.id FROM {v} AS t WHERE {w} EXCEPT SELECT u.id FROM {v} AS u WHERE u.id = 99",
    "common table": "WITH t AS NOT MATERIALIZED (SELECT * FROM {v}) SELECT count(*) FROM t WHERE {w}",
    "materialized": "WITH t AS MATERIALIZED (SELECT * FROM {v}) SELECT count(*) FROM t WHERE {w}",
    "recursive": "WITH RECURSIVE r (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r JOIN {v} AS t ON n < 3 AND {w}) SELECT count(*) FROM r",
    "window": "SELECT count(*) FROM (SELECT *, rank() OVER w AS n FROM {v} AS u WINDOW w AS (PARTITION BY u.id, u.region, u.{c})) AS t"
    " WHERE n < 9 AND {w}",
    "distinct": "SELECT count(*) FROM (SELECT DISTINCT ON (u.id, u.region, u.{c}) * FROM {v} AS u) AS t WHERE {w}",
    "having": "SELECT t.id FROM {v} AS t GROUP BY t.id, t.region, t.{c} HAVING {w}",
    "grouping sets": "SELECT t.id, count(*) FROM {v} AS t WHERE {w} GROUP BY GROUPING SETS ((t.id), ())",
    "filter": "SELECT count(*) FILTER (WHERE {w}) FROM {v} AS t",
    "least": "SELECT min(t.id), max(t.id) FROM {v} AS t WHERE {w}",
    "limit": "SELECT t.id FROM {v} AS t WHERE {w} LIMIT 1",
    "offset": "SELECT count(*) FROM (SELECT * FROM {v} OFFSET 0) AS t WHERE {w}",
    "order": "SELECT t.id FROM {v} AS t WHERE {w} ORDER BY t.{c}, t.id LIMIT 1",
    "in the list": "SELECT (SELECT t.id FROM {v} AS t WHERE {w})",
    "case": "SELECT count(CASE WHEN {w} THEN 1 END) FROM {v} AS t",
    "exists": "SELECT EXISTS (SELECT FROM {v} AS t WHERE {w})",
    "product": "SELECT count(*) FROM (VALUES (1), (2)) AS x (n), {v} AS t WHERE {w}",
}

_EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)"
MODES: Mapping[str, Sequence[str]] = {
    "": ("{statement}",),
    "explain": (f"{_EXPLAIN} {{statement}}",),
    "prepared": ("SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE probe AS {statement}", "EXECUTE probe", "EXECUTE probe"),
    "explain prepared": ("SET LOCAL plan_cache_mode = force_generic_plan", "PREPARE probe AS {statement}", f"{_EXPLAIN} EXECUTE probe"),
    "cursor": (
        "DECLARE probe SCROLL CURSOR FOR {statement}",
        "FETCH 1 FROM probe",
        "MOVE FORWARD ALL IN probe",
        "FETCH BACKWARD ALL FROM probe",
    ),
    "in a function": ("SELECT * FROM ts_stat('SELECT array_to_tsvector(ARRAY[x::text]) FROM ({statement_text}) AS x')",),
}
ENDINGS = ("DEALLOCATE ALL", "RESET ALL")
"""Statements that reset state which survives a rollback."""


def _off(*names: str) -> tuple[str, ...]:
    return tuple(f"enable_{name} = off" for name in names)


SCANS: Mapping[str, tuple[str, ...]] = {
    "": (),
    "no sequential scan": _off("seqscan"),
    "bitmap scan": _off("seqscan", "indexscan", "indexonlyscan"),
    "index scan": _off("seqscan", "bitmapscan", "indexonlyscan"),
    "index-only scan": _off("seqscan", "bitmapscan", "indexscan"),
    "sequential scan": _off("bitmapscan", "indexscan", "indexonlyscan", "tidscan"),
    "no scan": _off("seqscan", "bitmapscan", "indexscan", "indexonlyscan", "tidscan"),
}
JOINS: Mapping[str, tuple[str, ...]] = {
    "": (),
    "nested loop": _off("hashjoin", "mergejoin"),
    "hash join": _off("nestloop", "mergejoin"),
    "merge join": _off("nestloop", "hashjoin"),
    "bare nested loop": _off("hashjoin", "mergejoin", "material", "memoize"),
}
_CHEAP = ("parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0", "min_parallel_index_scan_size = 0")
WORKERS: Mapping[str, tuple[str, ...]] = {
    "": (),
    "no worker": ("max_parallel_workers_per_gather = 0",),
    "parallel": (*_CHEAP, "max_parallel_workers_per_gather = 2"),
    "forced parallel": ("debug_parallel_query = on",),
    "leader aside": (*_CHEAP, "parallel_leader_participation = off"),
}
ALONE = frozenset({"", "no worker"})
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "": (),
    **{
        setting: (setting,)
        for setting in (
            *_off("sort", "incremental_sort", "hashagg", "material", "memoize", "partition_pruning", "presorted_aggregate"),
            "enable_partitionwise_join = on",
            "enable_partitionwise_aggregate = on",
            "cpu_operator_cost = 1000000",
            "cpu_operator_cost = 0",
            "random_page_cost = 0",
            "seq_page_cost = 1000000",
            "effective_cache_size = 8",
            "work_mem = 64",
            "cursor_tuple_fraction = 0",
            "from_collapse_limit = 1",
            "join_collapse_limit = 1",
            "geqo_threshold = 2",
            "constraint_exclusion = on",
            "transform_null_equals = on",
            "row_security = on",
            "client_min_messages = debug2",
            "transaction_isolation = 'repeatable read'",
            "transaction_isolation = 'serializable'",
            "transaction_read_only = on",
            "timezone = 'Asia/Kathmandu'",
        )
    },
    "compiled": ("jit = on", "jit_above_cost = 0", "jit_inline_above_cost = 0", "jit_optimize_above_cost = 0"),
}
"""Settings of a session, other than those that choose scans, joins and workers."""
