-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_b1f24c45ed73c8f450b196050f4a8e4e']);
COMMIT;

-- create template of raw.customers
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"raw"."customers"');
CREATE POLICY "rv_t_b1f24c45ed73c8f450b196050f4a8e4e" ON "raw"."customers" AS RESTRICTIVE FOR SELECT TO "rv_t_b1f24c45ed73c8f450b196050f4a8e4e"
    USING (((SELECT rolevend.live()) IS NOT NULL OR tableoid IS NULL));
CREATE POLICY "rv_t_b1f24c45ed73c8f450b196050f4a8e4e_open" ON "raw"."customers" AS PERMISSIVE FOR SELECT TO "rv_t_b1f24c45ed73c8f450b196050f4a8e4e"
    USING (((SELECT rolevend.live()) IS NOT NULL OR tableoid IS NULL));
GRANT SELECT ON TABLE "raw"."customers" TO "rv_t_b1f24c45ed73c8f450b196050f4a8e4e";
SELECT rolevend.record_template('rv_t_b1f24c45ed73c8f450b196050f4a8e4e', '5c0a7e1e-0000-4000-8000-000000000001', 'raw', 'customers');
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
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"customers": "rv_t_b1f24c45ed73c8f450b196050f4a8e4e"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '5c9c7a06b6cdc98a3b4a3f0842754400087ee5436fd2649c42565f87e745059f', ARRAY['rv_t_b1f24c45ed73c8f450b196050f4a8e4e'], '{"customers": ["raw", "customers"]}', 2);
COMMIT;
