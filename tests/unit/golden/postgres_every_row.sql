-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_t_b3db70ffd828be57bff565ed632fee9a" NOLOGIN;
GRANT rv_template TO "rv_t_b3db70ffd828be57bff565ed632fee9a" WITH INHERIT TRUE, SET FALSE;
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
CREATE ROLE "rv_p_3f9a1c" NOLOGIN;
GRANT rv_connect TO "rv_p_3f9a1c" WITH INHERIT TRUE, SET FALSE;
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
GRANT CREATE ON SCHEMA "rv_p_3f9a1c" TO "rv_t_b3db70ffd828be57bff565ed632fee9a";
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
ALTER VIEW "rv_p_3f9a1c"."customers" OWNER TO "rv_t_b3db70ffd828be57bff565ed632fee9a";
REVOKE CREATE ON SCHEMA "rv_p_3f9a1c" FROM "rv_t_b3db70ffd828be57bff565ed632fee9a";
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '5a88e8f9caf567e1513752c2c29c5643d828d42759d50f44d8141dcea1de58fa', ARRAY['rv_t_b3db70ffd828be57bff565ed632fee9a'], '{"customers": ["raw", "customers"]}');
COMMIT;
