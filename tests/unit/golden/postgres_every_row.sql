-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_b3db70ffd828be57bff565ed632fee9a']);
COMMIT;

-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_b3db70ffd828be57bff565ed632fee9a" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_b3db70ffd828be57bff565ed632fee9a"
    USING ((SELECT rolevend.live()));
CREATE POLICY "rv_t_b3db70ffd828be57bff565ed632fee9a_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_b3db70ffd828be57bff565ed632fee9a"
    USING ((SELECT rolevend.live()));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_b3db70ffd828be57bff565ed632fee9a";
SELECT rolevend.record_template('rv_t_b3db70ffd828be57bff565ed632fee9a', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
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
     WHERE (SELECT rolevend.reads('raw', 'customers'));
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"customers": "rv_t_b3db70ffd828be57bff565ed632fee9a"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '9bb5774df027c3f34511f6e57687abd578ea8ea0348ccd0ef8593783f1a6c13d', ARRAY['rv_t_b3db70ffd828be57bff565ed632fee9a'], '{"customers": ["raw", "customers"]}');
COMMIT;
