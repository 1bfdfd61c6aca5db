-- the wall of raw.customers
CREATE ROW ACCESS POLICY IF NOT EXISTS "ROLEVEND"."CONTROL"."RV_R_546B14F2B391842AFD0DC056AF02554C" AS ("ANY_COLUMN" NUMBER(38,0)) RETURNS BOOLEAN ->
(NOT IS_ROLE_IN_SESSION('RV_MARKER') AND NOT STARTSWITH(COALESCE(CURRENT_USER(), ''), 'IMMUTA_VENDED_'))
OR INVOKER_ROLE() = 'RV_PROGRAMMER'

-- on the table
ALTER TABLE "PROD"."raw"."customers" ADD ROW ACCESS POLICY "ROLEVEND"."CONTROL"."RV_R_546B14F2B391842AFD0DC056AF02554C" ON ("id")

-- the view
CREATE OR REPLACE SECURE VIEW "ROLEVEND"."RV_P_3F9A1C00000000000000000000000000"."customers" COPY GRANTS AS
SELECT (CASE WHEN t."id" < 0 THEN t."id" + MOD(-t."id", 10) WHEN t."id" >= 0 THEN t."id" - MOD(t."id", 10) END)::NUMBER(38,0) AS "id",
       t."region" AS "region",
       COALESCE(NULLIF(REGEXP_REPLACE(t."email", '^([a-z])[^@]*\\.', '\\1''', 1, 0, 's'), t."email"), CASE WHEN t."email" IS NOT NULL THEN '***' END) AS "email",
       t."ssn" AS "ssn",
       t."born" AS "born",
       t."seen" AS "seen",
       t."paid" AS "paid",
       (CASE WHEN t."amount" < 0 THEN t."amount" + MOD(-t."amount", 0.5) WHEN t."amount" >= 0 THEN t."amount" - MOD(t."amount", 0.5) END)::NUMBER(20,4) AS "amount",
       t."active" AS "active",
       t."place" AS "place"
  FROM "PROD"."raw"."customers" AS t
 CROSS JOIN (
       SELECT GET(GET(v.ATTRS, 'days'), 'date')::ARRAY AS A1
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
 WHERE l.A1 IS NOT NULL AND (t."amount" >= 12.5 AND t."id" IN (1, 3000000000) AND (t."born" >= DATE_FROM_PARTS(2000, 1, 1) AND t."born" <= DATE_FROM_PARTS(2001, 1, 1)) AND t."seen" < TIMESTAMP_TZ_FROM_PARTS(2024, 1, 31, 10, 0, 0, 0, 'UTC') AND t."seen" >= DATEADD(DAY, -30, CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP())) AND (t."paid" >= DATEADD(MONTH, -6, DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP())))::TIMESTAMP_NTZ AND t."paid" <= CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP())::TIMESTAMP_NTZ) AND t."born" < DATEADD(YEAR, -18, DATE_TRUNC('DAY', CONVERT_TIMEZONE('UTC', CURRENT_TIMESTAMP())))::DATE AND NOT (t."email" = 'o''hara\\') AND t."paid" IS NOT NULL AND (t."active" <> TRUE OR CASE WHEN t."born" IS NOT NULL THEN ARRAY_CONTAINS(TO_VARCHAR(t."born", 'YYYY-MM-DD')::VARIANT, l.A1) END))

-- what is stricter for tools
-- raw.customers shows no row to tools: its rows are filtered by amount, which is masked or not granted
