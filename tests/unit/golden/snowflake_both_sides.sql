-- the wall of raw.customers
CREATE ROW ACCESS POLICY IF NOT EXISTS "ROLEVEND"."CONTROL"."RV_R_546B14F2B391842AFD0DC056AF02554C" AS ("ANY_COLUMN" NUMBER(38,0)) RETURNS BOOLEAN ->
(NOT IS_ROLE_IN_SESSION('RV_MARKER') AND NOT STARTSWITH(COALESCE(CURRENT_USER(), ''), 'IMMUTA_VENDED_'))
OR INVOKER_ROLE() = 'RV_PROGRAMMER'

-- on the table
ALTER TABLE "PROD"."raw"."customers" ADD ROW ACCESS POLICY "ROLEVEND"."CONTROL"."RV_R_546B14F2B391842AFD0DC056AF02554C" ON ("id")

-- the view
CREATE OR REPLACE SECURE VIEW "ROLEVEND"."RV_P_3F9A1C00000000000000000000000000"."customers" COPY GRANTS AS
SELECT t."id" AS "id",
       t."region" AS "region",
       CASE WHEN l.A1 IS NOT NULL AND (CASE WHEN t."id" IS NOT NULL THEN ARRAY_CONTAINS(TO_VARCHAR(t."id")::VARIANT, l.A1) END OR t."region" = 'EU') AND ((l.A2 IS NOT NULL AND NOT ((CASE WHEN t."region" IS NOT NULL THEN ARRAY_CONTAINS(t."region"::VARIANT, l.A2) END OR t."ssn" IS NULL))) OR (l.A2 IS NOT NULL AND CASE WHEN t."region" IS NOT NULL THEN ARRAY_CONTAINS(t."region"::VARIANT, l.A2) END)) THEN t."email" WHEN l.A2 IS NOT NULL AND NOT ((CASE WHEN t."region" IS NOT NULL THEN ARRAY_CONTAINS(t."region"::VARIANT, l.A2) END OR t."ssn" IS NULL)) THEN SHA2(CONCAT((SELECT s.SALT FROM "ROLEVEND"."CONTROL"."SALT" AS s), TO_BINARY(t."email", 'UTF-8')), 256) ELSE NULL::VARCHAR(40) END AS "email",
       CASE WHEN ((l.A1 IS NOT NULL AND (CASE WHEN t."id" IS NOT NULL THEN ARRAY_CONTAINS(TO_VARCHAR(t."id")::VARIANT, l.A1) END OR t."region" = 'EU')) OR (l.A2 IS NOT NULL AND CASE WHEN t."region" IS NOT NULL THEN ARRAY_CONTAINS(t."region"::VARIANT, l.A2) END)) AND l.A2 IS NOT NULL AND NOT ((CASE WHEN t."region" IS NOT NULL THEN ARRAY_CONTAINS(t."region"::VARIANT, l.A2) END OR t."ssn" IS NULL)) THEN '***' || RIGHT(t."ssn", LEAST(4, FLOOR(LENGTH(t."ssn") / 2))) ELSE NULL::VARCHAR(16777216) END AS "ssn",
       t."born" AS "born",
       t."seen" AS "seen",
       t."paid" AS "paid",
       t."amount" AS "amount",
       t."active" AS "active",
       t."place" AS "place"
  FROM "PROD"."raw"."customers" AS t
 CROSS JOIN (
       SELECT GET(GET(v.ATTRS, 'ids'), 'integer')::ARRAY AS A1,
              GET(GET(v.ATTRS, 'regions'), 'text')::ARRAY AS A2
         FROM (SELECT PARSE_JSON(MIN(v.ATTRS)) AS ATTRS
                 FROM "ROLEVEND"."CONTROL"."LEASE" AS v
                WHERE v.ROLE = CURRENT_ROLE()
                GROUP BY v.ROLE
               HAVING COUNT_IF(v.EVENT = 'VENDED') = COUNT(*)
                  AND MIN(v.EXPIRES_AT) > CURRENT_TIMESTAMP()
                  AND MIN(v.PROFILE) = 'RV_P_3F9A1C00000000000000000000000000' AND MAX(v.PROFILE) = 'RV_P_3F9A1C00000000000000000000000000'
                  AND MIN(v.ATTRS) = MAX(v.ATTRS)
                  AND MIN(COALESCE(v.TABLES, '')) = MAX(COALESCE(v.TABLES, ''))
                  AND (MIN(v.TABLES) IS NULL OR ARRAY_CONTAINS('"raw"."customers"'::VARIANT, PARSE_JSON(MIN(v.TABLES))::ARRAY))) AS v
       ) AS l
 WHERE l.A2 IS NOT NULL AND CASE WHEN t."region" IS NOT NULL THEN ARRAY_CONTAINS(t."region"::VARIANT, l.A2) END
   AND ((l.A1 IS NOT NULL AND (CASE WHEN t."id" IS NOT NULL THEN ARRAY_CONTAINS(TO_VARCHAR(t."id")::VARIANT, l.A1) END OR t."region" = 'EU')) OR (l.A2 IS NOT NULL AND NOT ((CASE WHEN t."region" IS NOT NULL THEN ARRAY_CONTAINS(t."region"::VARIANT, l.A2) END OR t."ssn" IS NULL))))

-- what is stricter for tools
-- raw.customers shows no row to tools: its rows are filtered by ssn, which is masked or not granted
