-- create template of a "schema".it's; DROP TABLE x --
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_t_fd0a373745221703070b082e87e46c39" NOLOGIN;
GRANT rv_template TO "rv_t_fd0a373745221703070b082e87e46c39" WITH INHERIT TRUE, SET FALSE;
SELECT rolevend.govern('"a ""schema"""."it''s; DROP TABLE x --"');
CREATE POLICY "rv_t_fd0a373745221703070b082e87e46c39" ON "a ""schema"""."it's; DROP TABLE x --" AS RESTRICTIVE FOR SELECT TO "rv_t_fd0a373745221703070b082e87e46c39"
    USING ((SELECT rolevend.live()) AND "☃" = ANY ((SELECT rolevend.attr( E'o''k\\'))::text[]));
CREATE POLICY "rv_t_fd0a373745221703070b082e87e46c39_open" ON "a ""schema"""."it's; DROP TABLE x --" AS PERMISSIVE FOR SELECT TO "rv_t_fd0a373745221703070b082e87e46c39"
    USING ((SELECT rolevend.live()) AND "☃" = ANY ((SELECT rolevend.attr( E'o''k\\'))::text[]));
GRANT SELECT ON TABLE "a ""schema"""."it's; DROP TABLE x --" TO "rv_t_fd0a373745221703070b082e87e46c39";
SELECT rolevend.record_template('rv_t_fd0a373745221703070b082e87e46c39', '5c0a7e1e-0000-4000-8000-000000000001', 'a "schema"', 'it''s; DROP TABLE x --');
COMMIT;

-- create the profile
BEGIN;
SET LOCAL lock_timeout = '200ms';
CREATE ROLE "rv_p_3f9a1c" NOLOGIN;
GRANT rv_connect TO "rv_p_3f9a1c" WITH INHERIT TRUE, SET FALSE;
CREATE SCHEMA "rv_p_3f9a1c";
GRANT USAGE ON SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
GRANT CREATE ON SCHEMA "rv_p_3f9a1c" TO "rv_t_fd0a373745221703070b082e87e46c39";
CREATE VIEW "rv_p_3f9a1c"."it's; DROP TABLE x --" AS
    SELECT NULL::"Odd".""" type" AS "se""lect",
           '''; --'::text AS "☃"
      FROM "a ""schema"""."it's; DROP TABLE x --" AS t
     WHERE (SELECT rolevend.live());
GRANT SELECT ON ALL TABLES IN SCHEMA "rv_p_3f9a1c" TO "rv_p_3f9a1c";
ALTER VIEW "rv_p_3f9a1c"."it's; DROP TABLE x --" OWNER TO "rv_t_fd0a373745221703070b082e87e46c39";
REVOKE CREATE ON SCHEMA "rv_p_3f9a1c" FROM "rv_t_fd0a373745221703070b082e87e46c39";
SELECT rolevend.record_profile('rv_p_3f9a1c', '5c0a7e1e-0000-4000-8000-000000000001', '7f3c70f179c81756db1ca1b8ca4f48ec98de8d9d5e675fbb8427e572d0aa6582', ARRAY['rv_t_fd0a373745221703070b082e87e46c39'],  E'{"it''s; DROP TABLE x --": ["a \\"schema\\"", "it''s; DROP TABLE x --"]}');
COMMIT;
