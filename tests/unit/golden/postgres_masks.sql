-- Clear(), text
t."c"
-- Clear(), bigint
t."c"
-- Clear(), numeric
t."c"
-- Clear(), double precision
t."c"
-- Clear(), boolean
t."c"
-- Clear(), date
t."c"
-- Clear(), timestamp without time zone
t."c"
-- Clear(), timestamp with time zone
t."c"
-- Clear(), uuid
t."c"
-- Clear(), jsonb
t."c"
-- Clear(), character varying
t."c"
-- Clear(), real
t."c"
-- Partial(keep_last=-1), text
CASE WHEN t."c" IS NOT NULL THEN '***' END
-- Partial(keep_last=-1), bigint
NULL::bigint
-- Partial(keep_last=-1), numeric
NULL::numeric
-- Partial(keep_last=-1), double precision
NULL::double precision
-- Partial(keep_last=-1), boolean
NULL::boolean
-- Partial(keep_last=-1), date
NULL::date
-- Partial(keep_last=-1), timestamp without time zone
NULL::timestamp without time zone
-- Partial(keep_last=-1), timestamp with time zone
NULL::timestamp with time zone
-- Partial(keep_last=-1), uuid
NULL::uuid
-- Partial(keep_last=-1), jsonb
NULL::jsonb
-- Partial(keep_last=-1), character varying
CASE WHEN t."c"::text IS NOT NULL THEN '***' END
-- Partial(keep_last=-1), real
NULL::real
-- Partial(keep_last=0), text
CASE WHEN t."c" IS NOT NULL THEN '***' END
-- Partial(keep_last=0), bigint
NULL::bigint
-- Partial(keep_last=0), numeric
NULL::numeric
-- Partial(keep_last=0), double precision
NULL::double precision
-- Partial(keep_last=0), boolean
NULL::boolean
-- Partial(keep_last=0), date
NULL::date
-- Partial(keep_last=0), timestamp without time zone
NULL::timestamp without time zone
-- Partial(keep_last=0), timestamp with time zone
NULL::timestamp with time zone
-- Partial(keep_last=0), uuid
NULL::uuid
-- Partial(keep_last=0), jsonb
NULL::jsonb
-- Partial(keep_last=0), character varying
CASE WHEN t."c"::text IS NOT NULL THEN '***' END
-- Partial(keep_last=0), real
NULL::real
-- Partial(keep_last=1), text
'***' || right(t."c", least(1, char_length(t."c") / 2))
-- Partial(keep_last=1), bigint
NULL::bigint
-- Partial(keep_last=1), numeric
NULL::numeric
-- Partial(keep_last=1), double precision
NULL::double precision
-- Partial(keep_last=1), boolean
NULL::boolean
-- Partial(keep_last=1), date
NULL::date
-- Partial(keep_last=1), timestamp without time zone
NULL::timestamp without time zone
-- Partial(keep_last=1), timestamp with time zone
NULL::timestamp with time zone
-- Partial(keep_last=1), uuid
NULL::uuid
-- Partial(keep_last=1), jsonb
NULL::jsonb
-- Partial(keep_last=1), character varying
'***' || right(t."c"::text, least(1, char_length(t."c"::text) / 2))
-- Partial(keep_last=1), real
NULL::real
-- Partial(keep_last=4), text
'***' || right(t."c", least(4, char_length(t."c") / 2))
-- Partial(keep_last=4), bigint
NULL::bigint
-- Partial(keep_last=4), numeric
NULL::numeric
-- Partial(keep_last=4), double precision
NULL::double precision
-- Partial(keep_last=4), boolean
NULL::boolean
-- Partial(keep_last=4), date
NULL::date
-- Partial(keep_last=4), timestamp without time zone
NULL::timestamp without time zone
-- Partial(keep_last=4), timestamp with time zone
NULL::timestamp with time zone
-- Partial(keep_last=4), uuid
NULL::uuid
-- Partial(keep_last=4), jsonb
NULL::jsonb
-- Partial(keep_last=4), character varying
'***' || right(t."c"::text, least(4, char_length(t."c"::text) / 2))
-- Partial(keep_last=4), real
NULL::real
-- Round(step='100'), text
NULL::text
-- Round(step='100'), bigint
(t."c" - t."c" % '100'::bigint)::bigint
-- Round(step='100'), numeric
CASE WHEN t."c" > '-Infinity'::numeric AND t."c" < 'Infinity'::numeric THEN round(t."c" - mod(t."c", '100'::numeric), 0) END
-- Round(step='100'), double precision
CASE WHEN abs(t."c") <= 1.79e308::double precision THEN (t."c"::numeric - mod(t."c"::numeric, '100'::numeric))::double precision END
-- Round(step='100'), boolean
NULL::boolean
-- Round(step='100'), date
NULL::date
-- Round(step='100'), timestamp without time zone
NULL::timestamp without time zone
-- Round(step='100'), timestamp with time zone
NULL::timestamp with time zone
-- Round(step='100'), uuid
NULL::uuid
-- Round(step='100'), jsonb
NULL::jsonb
-- Round(step='100'), character varying
NULL::character varying
-- Round(step='100'), real
CASE WHEN abs(t."c") <= 1.79e308::double precision THEN (t."c"::numeric - mod(t."c"::numeric, '100'::numeric))::real END
-- Round(step='0.25'), text
NULL::text
-- Round(step='0.25'), bigint
NULL::bigint
-- Round(step='0.25'), numeric
CASE WHEN t."c" > '-Infinity'::numeric AND t."c" < 'Infinity'::numeric THEN round(t."c" - mod(t."c", '0.25'::numeric), 2) END
-- Round(step='0.25'), double precision
CASE WHEN abs(t."c") <= 1.79e308::double precision THEN (t."c"::numeric - mod(t."c"::numeric, '0.25'::numeric))::double precision END
-- Round(step='0.25'), boolean
NULL::boolean
-- Round(step='0.25'), date
NULL::date
-- Round(step='0.25'), timestamp without time zone
NULL::timestamp without time zone
-- Round(step='0.25'), timestamp with time zone
NULL::timestamp with time zone
-- Round(step='0.25'), uuid
NULL::uuid
-- Round(step='0.25'), jsonb
NULL::jsonb
-- Round(step='0.25'), character varying
NULL::character varying
-- Round(step='0.25'), real
CASE WHEN abs(t."c") <= 1.79e308::double precision THEN (t."c"::numeric - mod(t."c"::numeric, '0.25'::numeric))::real END
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), text
NULL::text
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), bigint
NULL::bigint
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), numeric
NULL::numeric
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), double precision
NULL::double precision
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), boolean
NULL::boolean
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), date
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 BC'::date THEN make_date(extract(year FROM t."c")::integer, 1, 1) END
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), timestamp without time zone
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 00:00:00 BC'::timestamp without time zone THEN date_trunc('year', t."c") END
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), timestamp with time zone
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 00:00:00+00 BC'::timestamp with time zone THEN date_trunc('year', t."c", 'UTC') END
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), uuid
NULL::uuid
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), jsonb
NULL::jsonb
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), character varying
NULL::character varying
-- DateTrunc(unit=<Unit.YEAR: 'Year'>), real
NULL::real
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), text
NULL::text
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), bigint
NULL::bigint
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), numeric
NULL::numeric
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), double precision
NULL::double precision
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), boolean
NULL::boolean
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), date
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 BC'::date THEN make_date(extract(year FROM t."c")::integer, extract(quarter FROM t."c")::integer * 3 - 2, 1) END
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), timestamp without time zone
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 00:00:00 BC'::timestamp without time zone THEN date_trunc('quarter', t."c") END
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), timestamp with time zone
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 00:00:00+00 BC'::timestamp with time zone THEN date_trunc('quarter', t."c", 'UTC') END
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), uuid
NULL::uuid
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), jsonb
NULL::jsonb
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), character varying
NULL::character varying
-- DateTrunc(unit=<Unit.QUARTER: 'Quarter'>), real
NULL::real
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), text
NULL::text
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), bigint
NULL::bigint
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), numeric
NULL::numeric
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), double precision
NULL::double precision
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), boolean
NULL::boolean
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), date
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 BC'::date THEN make_date(extract(year FROM t."c")::integer, extract(month FROM t."c")::integer, 1) END
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), timestamp without time zone
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 00:00:00 BC'::timestamp without time zone THEN date_trunc('month', t."c") END
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), timestamp with time zone
CASE WHEN NOT isfinite(t."c") THEN t."c" WHEN t."c" >= '4712-01-01 00:00:00+00 BC'::timestamp with time zone THEN date_trunc('month', t."c", 'UTC') END
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), uuid
NULL::uuid
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), jsonb
NULL::jsonb
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), character varying
NULL::character varying
-- DateTrunc(unit=<Unit.MONTH: 'Month'>), real
NULL::real
-- Regex(pattern="^([a-z])'", replacement='\\1*'), text
coalesce(nullif(regexp_replace(t."c", '^([a-z])''',  E'\\1*', 'g'), t."c"), CASE WHEN t."c" IS NOT NULL THEN '***' END)
-- Regex(pattern="^([a-z])'", replacement='\\1*'), bigint
NULL::bigint
-- Regex(pattern="^([a-z])'", replacement='\\1*'), numeric
NULL::numeric
-- Regex(pattern="^([a-z])'", replacement='\\1*'), double precision
NULL::double precision
-- Regex(pattern="^([a-z])'", replacement='\\1*'), boolean
NULL::boolean
-- Regex(pattern="^([a-z])'", replacement='\\1*'), date
NULL::date
-- Regex(pattern="^([a-z])'", replacement='\\1*'), timestamp without time zone
NULL::timestamp without time zone
-- Regex(pattern="^([a-z])'", replacement='\\1*'), timestamp with time zone
NULL::timestamp with time zone
-- Regex(pattern="^([a-z])'", replacement='\\1*'), uuid
NULL::uuid
-- Regex(pattern="^([a-z])'", replacement='\\1*'), jsonb
NULL::jsonb
-- Regex(pattern="^([a-z])'", replacement='\\1*'), character varying
coalesce(nullif(regexp_replace(t."c"::text, '^([a-z])''',  E'\\1*', 'g'), t."c"::text), CASE WHEN t."c"::text IS NOT NULL THEN '***' END)
-- Regex(pattern="^([a-z])'", replacement='\\1*'), real
NULL::real
-- Hash(), text
rolevend.hash(t."c")
-- Hash(), bigint
NULL::bigint
-- Hash(), numeric
NULL::numeric
-- Hash(), double precision
NULL::double precision
-- Hash(), boolean
NULL::boolean
-- Hash(), date
NULL::date
-- Hash(), timestamp without time zone
NULL::timestamp without time zone
-- Hash(), timestamp with time zone
NULL::timestamp with time zone
-- Hash(), uuid
NULL::uuid
-- Hash(), jsonb
NULL::jsonb
-- Hash(), character varying
rolevend.hash(t."c"::text)
-- Hash(), real
NULL::real
-- Constant(value="it's"), text
'it''s'::text
-- Constant(value="it's"), bigint
NULL::bigint
-- Constant(value="it's"), numeric
NULL::numeric
-- Constant(value="it's"), double precision
NULL::double precision
-- Constant(value="it's"), boolean
NULL::boolean
-- Constant(value="it's"), date
NULL::date
-- Constant(value="it's"), timestamp without time zone
NULL::timestamp without time zone
-- Constant(value="it's"), timestamp with time zone
NULL::timestamp with time zone
-- Constant(value="it's"), uuid
NULL::uuid
-- Constant(value="it's"), jsonb
NULL::jsonb
-- Constant(value="it's"), character varying
'it''s'::text
-- Constant(value="it's"), real
NULL::real
-- Constant(value='7'), text
'7'::text
-- Constant(value='7'), bigint
'7'::bigint
-- Constant(value='7'), numeric
'7'::numeric
-- Constant(value='7'), double precision
'7'::double precision
-- Constant(value='7'), boolean
NULL::boolean
-- Constant(value='7'), date
NULL::date
-- Constant(value='7'), timestamp without time zone
NULL::timestamp without time zone
-- Constant(value='7'), timestamp with time zone
NULL::timestamp with time zone
-- Constant(value='7'), uuid
NULL::uuid
-- Constant(value='7'), jsonb
NULL::jsonb
-- Constant(value='7'), character varying
'7'::text
-- Constant(value='7'), real
'7'::real
-- Constant(value='1970-01-01'), text
'1970-01-01'::text
-- Constant(value='1970-01-01'), bigint
NULL::bigint
-- Constant(value='1970-01-01'), numeric
NULL::numeric
-- Constant(value='1970-01-01'), double precision
NULL::double precision
-- Constant(value='1970-01-01'), boolean
NULL::boolean
-- Constant(value='1970-01-01'), date
'1970-01-01'::date
-- Constant(value='1970-01-01'), timestamp without time zone
'1970-01-01'::timestamp without time zone
-- Constant(value='1970-01-01'), timestamp with time zone
NULL::timestamp with time zone
-- Constant(value='1970-01-01'), uuid
NULL::uuid
-- Constant(value='1970-01-01'), jsonb
NULL::jsonb
-- Constant(value='1970-01-01'), character varying
'1970-01-01'::text
-- Constant(value='1970-01-01'), real
NULL::real
-- Nullify(), text
NULL::text
-- Nullify(), bigint
NULL::bigint
-- Nullify(), numeric
NULL::numeric
-- Nullify(), double precision
NULL::double precision
-- Nullify(), boolean
NULL::boolean
-- Nullify(), date
NULL::date
-- Nullify(), timestamp without time zone
NULL::timestamp without time zone
-- Nullify(), timestamp with time zone
NULL::timestamp with time zone
-- Nullify(), uuid
NULL::uuid
-- Nullify(), jsonb
NULL::jsonb
-- Nullify(), character varying
NULL::character varying
-- Nullify(), real
NULL::real
