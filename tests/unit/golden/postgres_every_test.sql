-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_e4a80b10ae6ae051651f3fb17444e727']);
COMMIT;

-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_e4a80b10ae6ae051651f3fb17444e727" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_e4a80b10ae6ae051651f3fb17444e727"
    USING ((SELECT rolevend.attr('days', 'date')) IS NOT NULL AND ("amount" >= '12.5'::numeric AND "id" IN ('1'::bigint, '3000000000'::bigint) AND "born" BETWEEN '2000-01-01'::date AND '2001-01-01'::date AND "seen" < '2024-01-31T10:00:00+00:00'::timestamp with time zone AND NOT ("email" =  E'o''hara\\'::character varying) AND "paid" IS NOT NULL AND ("active" <> 'true'::boolean OR "born" = ANY ((SELECT rolevend.attr('days', 'date')::date[])::date[]))));
CREATE POLICY "rv_t_e4a80b10ae6ae051651f3fb17444e727_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_e4a80b10ae6ae051651f3fb17444e727"
    USING ((SELECT rolevend.attr('days', 'date')) IS NOT NULL AND ("amount" >= '12.5'::numeric AND "id" IN ('1'::bigint, '3000000000'::bigint) AND "born" BETWEEN '2000-01-01'::date AND '2001-01-01'::date AND "seen" < '2024-01-31T10:00:00+00:00'::timestamp with time zone AND NOT ("email" =  E'o''hara\\'::character varying) AND "paid" IS NOT NULL AND ("active" <> 'true'::boolean OR "born" = ANY ((SELECT rolevend.attr('days', 'date')::date[])::date[]))));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_e4a80b10ae6ae051651f3fb17444e727";
SELECT rolevend.record_template('rv_t_e4a80b10ae6ae051651f3fb17444e727', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
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
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"customers": "rv_t_e4a80b10ae6ae051651f3fb17444e727"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '5e2b1ae4fcef718cb525b38cfe5767d289983b3da591e2eab480951e7db53914', ARRAY['rv_t_e4a80b10ae6ae051651f3fb17444e727'], '{"customers": ["raw", "customers"]}');
COMMIT;
