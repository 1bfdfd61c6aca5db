-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_b2af8a9532ad691c35a8ef8bd5363aa6']);
COMMIT;

-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_b2af8a9532ad691c35a8ef8bd5363aa6" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_b2af8a9532ad691c35a8ef8bd5363aa6"
    USING ((("region" = ANY ((SELECT rolevend.attr('regions'))::text[])) OR ((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND ("id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR "region" = 'EU'::text)) OR ((SELECT rolevend.attr('regions')) IS NOT NULL AND NOT (("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR "ssn" IS NULL)))));
CREATE POLICY "rv_t_b2af8a9532ad691c35a8ef8bd5363aa6_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_b2af8a9532ad691c35a8ef8bd5363aa6"
    USING ((("region" = ANY ((SELECT rolevend.attr('regions'))::text[])) OR ((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND ("id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR "region" = 'EU'::text)) OR ((SELECT rolevend.attr('regions')) IS NOT NULL AND NOT (("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR "ssn" IS NULL)))));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_b2af8a9532ad691c35a8ef8bd5363aa6";
SELECT rolevend.record_template('rv_t_b2af8a9532ad691c35a8ef8bd5363aa6', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
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
           CASE WHEN ((t."region" = ANY ((SELECT rolevend.attr('regions'))::text[])) OR ((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND (t."id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR t."region" = 'EU'::text))) THEN t."email" ELSE rolevend.hash(t."email"::text) END AS "email",
           CASE WHEN (SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND (t."id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR t."region" = 'EU'::text) THEN t."ssn" WHEN t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]) THEN '***' || right(t."ssn", least(4, char_length(t."ssn") / 2)) ELSE NULL::text END AS "ssn",
           CASE WHEN t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]) THEN t."born" ELSE CASE WHEN NOT isfinite(t."born") THEN t."born" WHEN t."born" >= '4712-01-01 BC'::date THEN make_date(extract(year FROM t."born")::integer, 1, 1) END END AS "born",
           t."seen" AS "seen",
           t."paid" AS "paid",
           t."amount" AS "amount",
           t."active" AS "active",
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
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"customers": "rv_t_b2af8a9532ad691c35a8ef8bd5363aa6"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '6df382d494f555c8de5c47519a5ca2ee6d284f933ccbcba2f58ebfee7248c7d9', ARRAY['rv_t_b2af8a9532ad691c35a8ef8bd5363aa6'], '{"customers": ["raw", "customers"]}', 2);
COMMIT;
