-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_85b6becbfa51aff6d31fa4bbabd43440', 'rv_t_5b43ea9c878889abb34a2d452404b502']);
COMMIT;

-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_85b6becbfa51aff6d31fa4bbabd43440" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_85b6becbfa51aff6d31fa4bbabd43440"
    USING ("region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
CREATE POLICY "rv_t_85b6becbfa51aff6d31fa4bbabd43440_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_85b6becbfa51aff6d31fa4bbabd43440"
    USING ("region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_85b6becbfa51aff6d31fa4bbabd43440";
SELECT rolevend.record_template('rv_t_85b6becbfa51aff6d31fa4bbabd43440', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
COMMIT;

-- create template of raw.orders
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."orders"');
CREATE POLICY "rv_t_5b43ea9c878889abb34a2d452404b502" ON "raw"."orders" AS RESTRICTIVE FOR SELECT TO "rv_t_5b43ea9c878889abb34a2d452404b502"
    USING ("region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
CREATE POLICY "rv_t_5b43ea9c878889abb34a2d452404b502_open" ON "raw"."orders" AS PERMISSIVE FOR SELECT TO "rv_t_5b43ea9c878889abb34a2d452404b502"
    USING ("region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
GRANT SELECT ON TABLE "raw"."orders" TO "rv_t_5b43ea9c878889abb34a2d452404b502";
SELECT rolevend.record_template('rv_t_5b43ea9c878889abb34a2d452404b502', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'orders');
COMMIT;

-- create the profile
BEGIN;
SET LOCAL lock_timeout = '200ms';
SELECT rolevend.make_profile('rv_p_3f9a1c');
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
CREATE VIEW "rv_p_3f9a1c"."customers" AS
    SELECT t."id" AS "id",
           t."region" AS "region",
           rolevend.hash(t."email"::text) AS "email",
           '***' || right(t."ssn", least(4, char_length(t."ssn") / 2)) AS "ssn",
           CASE WHEN NOT isfinite(t."born") THEN t."born" WHEN t."born" >= '4712-01-01 BC'::date THEN make_date(extract(year FROM t."born")::integer, extract(quarter FROM t."born")::integer * 3 - 2, 1) END AS "born",
           CASE WHEN NOT isfinite(t."seen") THEN t."seen" WHEN t."seen" >= '4712-01-01 00:00:00+00 BC'::timestamp with time zone THEN date_trunc('month', t."seen", 'UTC') END AS "seen",
           CASE WHEN NOT isfinite(t."paid") THEN t."paid" WHEN t."paid" >= '4712-01-01 00:00:00 BC'::timestamp without time zone THEN date_trunc('year', t."paid") END AS "paid",
           NULL::numeric AS "amount",
           'false'::boolean AS "active",
           NULL::public.geometry AS "place"
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
CREATE VIEW "rv_p_3f9a1c"."orders" AS
    SELECT t."id" AS "id",
           t."region" AS "region"
      FROM (SELECT rolevend.fence(s."id") AS "id",
                   rolevend.fence(s."region") AS "region"
              FROM "raw"."orders" AS s
             WHERE ((SELECT rolevend.guarded('"raw"."orders"'::regclass) AND rolevend.reads('raw', 'orders')) IS NOT NULL OR s.tableoid IS NULL)) AS t;
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"customers": "rv_t_85b6becbfa51aff6d31fa4bbabd43440", "orders": "rv_t_5b43ea9c878889abb34a2d452404b502"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '695b086bac9bdf0ffb58e239604444250b3fb81915087072f0a4691f81d200cf', ARRAY['rv_t_85b6becbfa51aff6d31fa4bbabd43440', 'rv_t_5b43ea9c878889abb34a2d452404b502'], '{"customers": ["raw", "customers"], "orders": ["raw", "orders"]}', 2);
COMMIT;
