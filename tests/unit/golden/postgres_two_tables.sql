-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25" NOLOGIN;
GRANT rv_template TO "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25" WITH INHERIT TRUE, SET FALSE;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25"
    USING ((SELECT rolevend.live()) AND "region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
CREATE POLICY "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25"
    USING ((SELECT rolevend.live()) AND "region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25";
SELECT rolevend.record_template('rv_t_962aef34eef2ed0ebf3e3fa7aa930b25', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
COMMIT;

-- create template of raw.orders
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_t_0554f70f1177bc49b8ce90f2a1674b24" NOLOGIN;
GRANT rv_template TO "rv_t_0554f70f1177bc49b8ce90f2a1674b24" WITH INHERIT TRUE, SET FALSE;
SELECT rolevend.govern('"raw"."orders"');
CREATE POLICY "rv_t_0554f70f1177bc49b8ce90f2a1674b24" ON "raw"."orders" AS RESTRICTIVE FOR SELECT TO "rv_t_0554f70f1177bc49b8ce90f2a1674b24"
    USING ((SELECT rolevend.live()) AND "region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
CREATE POLICY "rv_t_0554f70f1177bc49b8ce90f2a1674b24_open" ON "raw"."orders" AS PERMISSIVE FOR SELECT TO "rv_t_0554f70f1177bc49b8ce90f2a1674b24"
    USING ((SELECT rolevend.live()) AND "region" = ANY ((SELECT rolevend.attr('regions'))::text[]));
GRANT SELECT ON TABLE "raw"."orders" TO "rv_t_0554f70f1177bc49b8ce90f2a1674b24";
SELECT rolevend.record_template('rv_t_0554f70f1177bc49b8ce90f2a1674b24', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'orders');
COMMIT;

-- create the profile
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_p_3f9a1c" NOLOGIN;
GRANT rv_connect TO "rv_p_3f9a1c" WITH INHERIT TRUE, SET FALSE;
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
GRANT CREATE ON SCHEMA "rv_p_3f9a1c" TO "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25", "rv_t_0554f70f1177bc49b8ce90f2a1674b24";
CREATE VIEW "rv_p_3f9a1c"."customers" AS
    SELECT t."id" AS "id",
           t."region" AS "region",
           encode(sha256((SELECT salt FROM rolevend.salt) || convert_to(t."email"::text, 'UTF8')), 'hex') AS "email",
           CASE WHEN char_length(t."ssn") >= 8 THEN '***' || right(t."ssn", 4) WHEN t."ssn" IS NOT NULL THEN '***' END AS "ssn",
           CASE WHEN NOT isfinite(t."born") THEN t."born" WHEN t."born" >= '4712-01-01 BC'::date THEN make_date(extract(year FROM t."born")::integer, extract(quarter FROM t."born")::integer * 3 - 2, 1) END AS "born",
           CASE WHEN NOT isfinite(t."seen") THEN t."seen" WHEN t."seen" >= '4712-01-01 00:00:00+00 BC'::timestamp with time zone THEN date_trunc('month', t."seen", 'UTC') END AS "seen",
           CASE WHEN NOT isfinite(t."paid") THEN t."paid" WHEN t."paid" >= '4712-01-01 00:00:00 BC'::timestamp without time zone THEN date_trunc('year', t."paid") END AS "paid",
           NULL::numeric AS "amount",
           'false'::boolean AS "active",
           NULL::public.geometry AS "place"
      FROM "raw"."customers" AS t
     WHERE (SELECT rolevend.live());
CREATE VIEW "rv_p_3f9a1c"."orders" AS
    SELECT t."id" AS "id",
           t."region" AS "region"
      FROM "raw"."orders" AS t
     WHERE (SELECT rolevend.live());
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
ALTER VIEW "rv_p_3f9a1c"."customers" OWNER TO "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25";
ALTER VIEW "rv_p_3f9a1c"."orders" OWNER TO "rv_t_0554f70f1177bc49b8ce90f2a1674b24";
REVOKE CREATE ON SCHEMA "rv_p_3f9a1c" FROM "rv_t_962aef34eef2ed0ebf3e3fa7aa930b25", "rv_t_0554f70f1177bc49b8ce90f2a1674b24";
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '507b19ac0c7107afc5fa0a0b9a6f8dd52584d980a6f090c4a2fa49df44c3a8ee', ARRAY['rv_t_962aef34eef2ed0ebf3e3fa7aa930b25', 'rv_t_0554f70f1177bc49b8ce90f2a1674b24'], '{"customers": ["raw", "customers"], "orders": ["raw", "orders"]}');
COMMIT;
