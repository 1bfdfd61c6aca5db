-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_t_7f7db50365f798497e48992aa8be2c98" NOLOGIN;
GRANT rv_template TO "rv_t_7f7db50365f798497e48992aa8be2c98" WITH INHERIT TRUE, SET FALSE;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_7f7db50365f798497e48992aa8be2c98" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_7f7db50365f798497e48992aa8be2c98"
    USING ((SELECT rolevend.live()) AND (SELECT rolevend.attr('days', 'date')) IS NOT NULL AND ("amount" >= '12.5'::numeric AND "id" IN ('1'::bigint, '3000000000'::bigint) AND "born" BETWEEN '2000-01-01'::date AND '2001-01-01'::date AND "seen" < '2024-01-31T10:00:00+00:00'::timestamp with time zone AND NOT ("email" =  E'o''hara\\'::character varying) AND "paid" IS NOT NULL AND ("active" <> 'true'::boolean OR "born" = ANY ((SELECT rolevend.attr('days', 'date')::date[])::date[]))));
CREATE POLICY "rv_t_7f7db50365f798497e48992aa8be2c98_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_7f7db50365f798497e48992aa8be2c98"
    USING ((SELECT rolevend.live()) AND (SELECT rolevend.attr('days', 'date')) IS NOT NULL AND ("amount" >= '12.5'::numeric AND "id" IN ('1'::bigint, '3000000000'::bigint) AND "born" BETWEEN '2000-01-01'::date AND '2001-01-01'::date AND "seen" < '2024-01-31T10:00:00+00:00'::timestamp with time zone AND NOT ("email" =  E'o''hara\\'::character varying) AND "paid" IS NOT NULL AND ("active" <> 'true'::boolean OR "born" = ANY ((SELECT rolevend.attr('days', 'date')::date[])::date[]))));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_7f7db50365f798497e48992aa8be2c98";
SELECT rolevend.record_template('rv_t_7f7db50365f798497e48992aa8be2c98', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
COMMIT;

-- create the profile
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_p_3f9a1c" NOLOGIN;
GRANT rv_connect TO "rv_p_3f9a1c" WITH INHERIT TRUE, SET FALSE;
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
GRANT CREATE ON SCHEMA "rv_p_3f9a1c" TO "rv_t_7f7db50365f798497e48992aa8be2c98";
CREATE VIEW "rv_p_3f9a1c"."customers" AS
    SELECT t."id" AS "id",
           t."region" AS "region",
           t."email" AS "email",
           t."ssn" AS "ssn",
           t."born" AS "born",
           t."seen" AS "seen",
           t."paid" AS "paid",
           t."amount" AS "amount",
           t."active" AS "active",
           t."place" AS "place"
      FROM "raw"."customers" AS t
     WHERE (SELECT rolevend.live());
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
ALTER VIEW "rv_p_3f9a1c"."customers" OWNER TO "rv_t_7f7db50365f798497e48992aa8be2c98";
REVOKE CREATE ON SCHEMA "rv_p_3f9a1c" FROM "rv_t_7f7db50365f798497e48992aa8be2c98";
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '88907836d2934c5795d37922a29e139f395ea226623f3454e242413fd8b0e4fc', ARRAY['rv_t_7f7db50365f798497e48992aa8be2c98'], '{"customers": ["raw", "customers"]}');
COMMIT;
