"""A table with one column of every kind that a condition can be on, and one hidden row that is different in each."""

from rolevend.platforms.postgres.attest.probes import ProbedColumn

_ORDERED = {
    "smallint": ("10", "20", "30"),
    "integer": ("10", "20", "30"),
    "bigint": ("10", "20", "30"),
    "oid": ("10", "20", "30"),
    "real": ("1.5", "2.5", "3.5"),
    "double precision": ("1.5", "2.5", "3.5"),
    "numeric": ("1.5", "2.5", "3.5"),
    "money": ("1", "2", "3"),
    "date": ("2001-01-01", "2002-01-01", "2003-01-01"),
    "timestamp": ("2001-01-01 10:00", "2002-01-01 10:00", "2003-01-01 10:00"),
    "timestamptz": ("2001-01-01 10:00Z", "2002-01-01 10:00Z", "2003-01-01 10:00Z"),
    "time": ("10:00", "11:00", "12:00"),
    "timetz": ("10:00Z", "11:00Z", "12:00Z"),
    "interval": ("1 day", "2 days", "3 days"),
    "uuid": ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000003"),
    "bytea": (r"\x01", r"\x02", r"\x03"),
    '"char"': ("a", "b", "c"),
    "name": ("a", "b", "c"),
    "text": ("low", "mid", "top"),
    "varchar(20)": ("low", "mid", "top"),
    "character(10)": ("low", "mid", "top"),
    "inet": ("10.0.0.1", "10.0.1.1", "10.0.2.1"),
    "cidr": ("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"),
    "macaddr": ("08:00:2b:01:02:01", "08:00:2b:01:02:02", "08:00:2b:01:02:03"),
    "macaddr8": ("08:00:2b:01:02:03:04:01", "08:00:2b:01:02:03:04:02", "08:00:2b:01:02:03:04:03"),
    "bit(8)": ("00000001", "00000010", "00000011"),
    "varbit": ("00000001", "00000010", "00000011"),
    "integer[]": ("{6}", "{7}", "{9}"),
    "text[]": ("{a}", "{b}", "{c}"),
    "jsonb": ('{"b": 6}', '{"a": 7}', '{"c": 9}'),
    "int4range": ("[1,5)", "[10,20)", "[30,40)"),
    "daterange": ("[2001-01-01,2001-02-01)", "[2002-01-01,2002-02-01)", "[2003-01-01,2003-02-01)"),
    "int4multirange": ("{[1,5)}", "{[10,20)}", "{[30,40)}"),
    "pg_lsn": ("0/10", "0/20", "0/30"),
    "tid": ("(0,1)", "(0,2)", "(0,3)"),
    "tsvector": ("low", "mid", "top"),
    "public.probed_enum": ("low", "mid", "top"),
    "public.probed_domain": ("10", "20", "30"),
    "public.probed_row": ("(1,a)", "(2,b)", "(3,c)"),
}
COLUMNS = (
    *(ProbedColumn(f"c{place}", kind, *values) for place, (kind, values) in enumerate(_ORDERED.items())),
    ProbedColumn("flag", "boolean", "", "true"),
    ProbedColumn("nothing", "integer", "", "", "30"),
)
TYPES = """
DROP TYPE IF EXISTS public.probed_enum, public.probed_row CASCADE;
DROP DOMAIN IF EXISTS public.probed_domain CASCADE;
CREATE TYPE public.probed_enum AS ENUM ('low', 'mid', 'top');
CREATE DOMAIN public.probed_domain AS integer CHECK (VALUE > 0);
CREATE TYPE public.probed_row AS (number integer, word text);
"""
INDEXES = """
CREATE INDEX ON probed USING hash (c2);
CREATE INDEX ON probed USING brin (c1, c8);
CREATE INDEX ON probed USING gin (c27);
CREATE INDEX ON probed USING gin (c29 jsonb_path_ops);
CREATE INDEX ON probed USING gin (c35);
CREATE INDEX ON probed USING gist (c30);
CREATE INDEX ON probed USING spgist (c18);
CREATE INDEX ON probed (lower(c18));
CREATE INDEX ON probed ((c1 % 40));
CREATE INDEX ON probed ((c27[1]));
CREATE INDEX ON probed ((nothing IS NULL));
CREATE INDEX ON probed (c1) WHERE region = 'US';
CREATE INDEX ON probed (c18) WHERE c1 = 20;
CREATE INDEX ON probed (c1) INCLUDE (id, region, c18);
CREATE STATISTICS ON c1, c8, c18 FROM probed;
CREATE STATISTICS ON (c1 % 40), lower(c18) FROM probed;
"""
"""Every kind of index and of statistics, on columns of `COLUMNS`."""
