-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_t_d6489c011b46a1f1d9fb751efe208bc1" NOLOGIN;
GRANT rv_template TO "rv_t_d6489c011b46a1f1d9fb751efe208bc1" WITH INHERIT TRUE, SET FALSE;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_d6489c011b46a1f1d9fb751efe208bc1" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_d6489c011b46a1f1d9fb751efe208bc1"
    USING ((SELECT rolevend.live()) AND (("region" = ANY ((SELECT rolevend.attr('regions'))::text[])) OR ((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND ("id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR "region" = 'EU'::text)) OR ((SELECT rolevend.attr('regions')) IS NOT NULL AND NOT (("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR "ssn" IS NULL)))));
CREATE POLICY "rv_t_d6489c011b46a1f1d9fb751efe208bc1_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_d6489c011b46a1f1d9fb751efe208bc1"
    USING ((SELECT rolevend.live()) AND (("region" = ANY ((SELECT rolevend.attr('regions'))::text[])) OR ((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND ("id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR "region" = 'EU'::text)) OR ((SELECT rolevend.attr('regions')) IS NOT NULL AND NOT (("region" = ANY ((SELECT rolevend.attr('regions'))::text[]) OR "ssn" IS NULL)))));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_d6489c011b46a1f1d9fb751efe208bc1";
SELECT rolevend.record_template('rv_t_d6489c011b46a1f1d9fb751efe208bc1', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
COMMIT;

-- create the profile
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_p_3f9a1c" NOLOGIN;
GRANT rv_connect TO "rv_p_3f9a1c" WITH INHERIT TRUE, SET FALSE;
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
GRANT CREATE ON SCHEMA "rv_p_3f9a1c" TO "rv_t_d6489c011b46a1f1d9fb751efe208bc1";
CREATE VIEW "rv_p_3f9a1c"."customers" AS
    SELECT t."id" AS "id",
           t."region" AS "region",
           CASE WHEN ((t."region" = ANY ((SELECT rolevend.attr('regions'))::text[])) OR ((SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND (t."id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR t."region" = 'EU'::text))) THEN t."email" ELSE encode(sha256((SELECT salt FROM rolevend.salt) || convert_to(t."email"::text, 'UTF8')), 'hex') END AS "email",
           CASE WHEN (SELECT rolevend.attr('ids', 'bigint')) IS NOT NULL AND (t."id" = ANY ((SELECT rolevend.attr('ids', 'bigint')::bigint[])::bigint[]) OR t."region" = 'EU'::text) THEN t."ssn" WHEN t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]) THEN CASE WHEN char_length(t."ssn") >= 8 THEN '***' || right(t."ssn", 4) WHEN t."ssn" IS NOT NULL THEN '***' END ELSE NULL::text END AS "ssn",
           CASE WHEN t."region" = ANY ((SELECT rolevend.attr('regions'))::text[]) THEN t."born" ELSE CASE WHEN NOT isfinite(t."born") THEN t."born" WHEN t."born" >= '4712-01-01 BC'::date THEN make_date(extract(year FROM t."born")::integer, 1, 1) END END AS "born",
           t."seen" AS "seen",
           t."paid" AS "paid",
           t."amount" AS "amount",
           t."active" AS "active",
           NULL::public.geometry AS "place"
      FROM "raw"."customers" AS t
     WHERE (SELECT rolevend.live());
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
ALTER VIEW "rv_p_3f9a1c"."customers" OWNER TO "rv_t_d6489c011b46a1f1d9fb751efe208bc1";
REVOKE CREATE ON SCHEMA "rv_p_3f9a1c" FROM "rv_t_d6489c011b46a1f1d9fb751efe208bc1";
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', 'c57666b549a53152d3bbce3ae3521fb25b6eaf7557c5fb72f4aa1de9c4f14c10', ARRAY['rv_t_d6489c011b46a1f1d9fb751efe208bc1'], '{"customers": ["raw", "customers"]}');
COMMIT;
