-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_36039a7b4b669e77fa97a352ca175ecd']);
COMMIT;

-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_36039a7b4b669e77fa97a352ca175ecd" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_36039a7b4b669e77fa97a352ca175ecd"
    USING ("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) AND (((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND ("id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR "region" = 'EU'::text)) OR ((SELECT rolevend.attr('regions')) IS NOT NULL AND NOT (("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR "ssn" IS NULL)))));
CREATE POLICY "rv_t_36039a7b4b669e77fa97a352ca175ecd_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_36039a7b4b669e77fa97a352ca175ecd"
    USING ("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) AND (((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND ("id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR "region" = 'EU'::text)) OR ((SELECT rolevend.attr('regions')) IS NOT NULL AND NOT (("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR "ssn" IS NULL)))));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_36039a7b4b669e77fa97a352ca175ecd";
SELECT rolevend.record_template('rv_t_36039a7b4b669e77fa97a352ca175ecd', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
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
           CASE WHEN (SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND (t."id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR t."region" = 'EU'::text) AND (((SELECT rolevend.attr('regions')) IS NOT NULL AND NOT ((t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR t."ssn" IS NULL))) OR (t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]))) THEN t."email" WHEN (SELECT rolevend.attr('regions')) IS NOT NULL AND NOT ((t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR t."ssn" IS NULL)) THEN rolevend.hash(t."email"::text) ELSE NULL::character varying END AS "email",
           CASE WHEN (((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND (t."id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR t."region" = 'EU'::text)) OR (t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]))) AND (SELECT rolevend.attr('regions')) IS NOT NULL AND NOT ((t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR t."ssn" IS NULL)) THEN '***' || right(t."ssn", least(4, char_length(t."ssn") / 2)) ELSE NULL::text END AS "ssn",
           t."born" AS "born",
           t."seen" AS "seen",
           t."paid" AS "paid",
           t."amount" AS "amount",
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
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"customers": "rv_t_36039a7b4b669e77fa97a352ca175ecd"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', 'fdc28711cbdfd5120b6aab93a1ff5a3d46418af13c95003435e4b2e29c80f959', ARRAY['rv_t_36039a7b4b669e77fa97a352ca175ecd'], '{"customers": ["raw", "customers"]}', 2);
COMMIT;
