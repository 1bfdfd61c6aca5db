-- make the roles
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.make_templates(ARRAY['rv_t_43357c862f58fdaf6ecc8530bd6d8464']);
COMMIT;

-- create template of a "schema".it's; DROP TABLE x --
BEGIN;
SET LOCAL lock_timeout = '200ms';
SET LOCAL synchronous_commit = off;
SELECT rolevend.govern('"a ""schema"""."it''s; DROP TABLE x --"');
CREATE POLICY "rv_t_43357c862f58fdaf6ecc8530bd6d8464" ON "a ""schema"""."it's; DROP TABLE x --" AS RESTRICTIVE FOR SELECT TO "rv_t_43357c862f58fdaf6ecc8530bd6d8464"
    USING ("☃" = ANY ((SELECT rolevend.attr( E'o''k\\'))::text[]));
CREATE POLICY "rv_t_43357c862f58fdaf6ecc8530bd6d8464_open" ON "a ""schema"""."it's; DROP TABLE x --" AS PERMISSIVE FOR SELECT TO "rv_t_43357c862f58fdaf6ecc8530bd6d8464"
    USING ("☃" = ANY ((SELECT rolevend.attr( E'o''k\\'))::text[]));
GRANT SELECT ON TABLE "a ""schema"""."it's; DROP TABLE x --" TO "rv_t_43357c862f58fdaf6ecc8530bd6d8464";
SELECT rolevend.record_template('rv_t_43357c862f58fdaf6ecc8530bd6d8464', '5c0a7e1e-0000-4000-8000-000000000001', 'a "schema"', 'it''s; DROP TABLE x --');
COMMIT;

-- create the profile
BEGIN;
SET LOCAL lock_timeout = '200ms';
SELECT rolevend.make_profile('rv_p_3f9a1c');
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
CREATE VIEW "rv_p_3f9a1c"."it's; DROP TABLE x --" AS
    SELECT NULL::"Odd".""" type" AS "se""lect",
           '''; --'::text AS "☃"
      FROM (SELECT rolevend.fence(s."se""lect") AS "se""lect",
                   rolevend.fence(s."☃") AS "☃"
              FROM "a ""schema"""."it's; DROP TABLE x --" AS s
             WHERE ((SELECT rolevend.guarded('"a ""schema"""."it''s; DROP TABLE x --"'::regclass) AND rolevend.reads('a "schema"', 'it''s; DROP TABLE x --')) IS NOT NULL OR s.tableoid IS NULL)) AS t;
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
SELECT rolevend.hand_over('rv_p_3f9a1c', '{"it''s; DROP TABLE x --": "rv_t_43357c862f58fdaf6ecc8530bd6d8464"}');
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', 'dc96b6d0433eb62d55980d23767adc818fe1acb56497859f52d8617ed8390855', ARRAY['rv_t_43357c862f58fdaf6ecc8530bd6d8464'],  E'{"it''s; DROP TABLE x --": ["a \\"schema\\"", "it''s; DROP TABLE x --"]}', 2);
COMMIT;
