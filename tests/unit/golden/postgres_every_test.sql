-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_52231675c98426f12cb8095a5ab0a306']);
COMMIT;

-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_52231675c98426f12cb8095a5ab0a306" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_52231675c98426f12cb8095a5ab0a306"
    USING ((SELECT rolevend.attr('days', 'date')) IS NOT NULL AND ("amount" >= '12.5'::numeric AND "id" IN ('1'::bigint, '3000000000'::bigint) AND "born" BETWEEN '2000-01-01'::date AND '2001-01-01'::date AND "seen" < '2024-01-31T10:00:00+00:00'::timestamp with time zone AND "seen" >= (SELECT (statement_timestamp() AT TIME ZONE 'UTC' + make_interval(days =>  -30)) AT TIME ZONE 'UTC') AND "paid" BETWEEN (SELECT date_trunc('day', statement_timestamp() AT TIME ZONE 'UTC') + make_interval(months =>  -6)) AND (SELECT statement_timestamp() AT TIME ZONE 'UTC') AND "born" < (SELECT (date_trunc('day', statement_timestamp() AT TIME ZONE 'UTC') + make_interval(years =>  -18))::date) AND NOT ("email" =  E'o''hara\\'::character varying) AND "paid" IS NOT NULL AND ("active" <> 'true'::boolean OR "born" = ANY ((SELECT rolevend.attr('days', 'date')::date[])::date[]))));
CREATE POLICY "rv_t_52231675c98426f12cb8095a5ab0a306_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_52231675c98426f12cb8095a5ab0a306"
    USING ((SELECT rolevend.attr('days', 'date')) IS NOT NULL AND ("amount" >= '12.5'::numeric AND "id" IN ('1'::bigint, '3000000000'::bigint) AND "born" BETWEEN '2000-01-01'::date AND '2001-01-01'::date AND "seen" < '2024-01-31T10:00:00+00:00'::timestamp with time zone AND "seen" >= (SELECT (statement_timestamp() AT TIME ZONE 'UTC' + make_interval(days =>  -30)) AT TIME ZONE 'UTC') AND "paid" BETWEEN (SELECT date_trunc('day', statement_timestamp() AT TIME ZONE 'UTC') + make_interval(months =>  -6)) AND (SELECT statement_timestamp() AT TIME ZONE 'UTC') AND "born" < (SELECT (date_trunc('day', statement_timestamp() AT TIME ZONE 'UTC') + make_interval(years =>  -18))::date) AND NOT ("email" =  E'o''hara\\'::character varying) AND "paid" IS NOT NULL AND ("active" <> 'true'::boolean OR "born" = ANY ((SELECT rolevend.attr('days', 'date')::date[])::date[]))));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_52231675c98426f12cb8095a5ab0a306";
SELECT rolevend.record_template('rv_t_52231675c98426f12cb8095a5ab0a306', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
COMMIT;

-- create the profile
BEGIN;
SET LOCAL lock_timeout = '200ms';
SELECT rolevend.make_profile('rv_p_3f9a1c');
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
CREATE VIEW "rv_p_3f9a1c"."customers" AS
    SELECT (t."id" - t."id" % '10'::bigint)::integer AS "id",
           t."region" AS "region",
           coalesce(nullif(regexp_replace(t."email"::text,  E'^([a-z])[^@]*\\.',  E'\\1''', 'g'), t."email"::text), CASE WHEN t."email"::text IS NOT NULL THEN '***' END) AS "email",
           t."ssn" AS "ssn",
           t."born" AS "born",
           t."seen" AS "seen",
           t."paid" AS "paid",
           CASE WHEN t."amount" > '-Infinity'::numeric AND t."amount" < 'Infinity'::numeric THEN round(t."amount" - mod(t."amount", '0.5'::numeric), 1) END AS "amount",
           t."active" AS "active",
           t."place" AS "place"
      FROM (SELECT rolevend.fence(s."id") AS "id",
                   rolevend.fence(s."region") AS "region",
                   rolevend.fence(s."email") AS "email",
                   rolevend.fence(s."ssn") AS "ssn",
                   rolevend.fence(s."born") AS "born",
                   rolevend.fence(s."seen") AS "seen",
                   rolevend.fence(s."paid") AS "paid",
                   rolevend.fence(s."amount") AS "amount",
                   rolevend.fence(s."active") AS "active",
                   rolevend.fence(s."place") AS "place"
              FROM "raw"."customers" AS s
             WHERE ((SELECT rolevend.guarded('"raw"."customers"'::regclass) AND rolevend.reads('raw', 'customers')) IS NOT NULL OR s.tableoid IS NULL)) AS t;
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"customers": "rv_t_52231675c98426f12cb8095a5ab0a306"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '38632fba6e9565180ec10331d65d79ad3b6eee0c049d4d0216d0133e451e968d', ARRAY['rv_t_52231675c98426f12cb8095a5ab0a306'], '{"customers": ["raw", "customers"]}', 2);
COMMIT;
