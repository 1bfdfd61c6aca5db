-- Which functions the rights of their callers do not bind, and who gets within reach of them.

SET LOCAL ROLE rv_owner;

-- Functions that a person consented to, who installed over a plan that lists them as open to vended roles.
CREATE TABLE IF NOT EXISTS rolevend.consented (
    routine oid PRIMARY KEY
);

-- Extensions in C that are known to be harmless: their functions compute with their arguments, and reach no file, table, session or server.
-- Those of unaccent and dict_int read files of dictionaries, which only a superuser can put on the server; those of uuid-ossp the clock and
-- the network address of the server. survey/exposed.sql has the same list.
CREATE OR REPLACE FUNCTION rolevend.harmless_extensions() RETURNS name[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT '{btree_gin,btree_gist,citext,cube,dict_int,earthdistance,fuzzystrmatch,hstore,intarray,isn,ltree,pg_trgm,pgcrypto,seg,unaccent,uuid-ossp,vector}'::name[]
$$;

-- Why the rights of its caller do not bind this function, or NULL where they do. PostgreSQL's own functions have an oid below 16384.
-- A LEAKPROOF function is called on rows before policies hide them.
CREATE OR REPLACE FUNCTION rolevend.unbound(p_function oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE
           WHEN p.pronamespace = 'rolevend'::regnamespace THEN 'is one of rolevend''s own'
           WHEN p.prosecdef THEN format('acts with the rights of %s', p.proowner::regrole)
           WHEN p.proleakproof THEN 'is LEAKPROOF'
           WHEN NOT l.lanpltrusted
                AND NOT EXISTS (SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
                                 WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass
                                   AND d.deptype = 'e' AND e.extname = ANY (rolevend.harmless_extensions()))
           THEN format('is written in %I', l.lanname) END
      FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
     WHERE p.oid = p_function AND p.oid >= 16384
$$;

-- As version 11 had it.
DROP FUNCTION IF EXISTS rolevend.reached(oid);

-- What these things bring into reach of whoever uses them: PostgreSQL looked the names up when they were made (BEGIN ATOMIC, DEFAULT, operators,
-- checks of domains, casts, input and output of types, parts of aggregates, and what sorts and hashes values), and asks for no right on the
-- schemas. is_asked: it asks the caller for EXECUTE. It does not for what belongs to a type, an aggregate or an operator class.
-- What comes with PostgreSQL is left out. A language leads to its handler, which says nothing of a function in it.
-- In plpgsql, which plans it once and not for every function that is judged.
CREATE OR REPLACE FUNCTION rolevend.reached(p_routines oid[], p_types oid[] DEFAULT '{}', p_operators oid[] DEFAULT '{}')
RETURNS TABLE (catalog oid, object oid, is_asked boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH RECURSIVE reached (catalog, object, is_asked) AS (
        SELECT x.catalog::oid, o.object, true
          FROM (VALUES ('pg_proc'::regclass, p_routines), ('pg_type'::regclass, p_types), ('pg_operator'::regclass, p_operators))
               AS x (catalog, objects)
         CROSS JOIN LATERAL unnest(x.objects) AS o (object)
         UNION
        SELECT d.catalog, d.object, d.is_asked
          FROM reached AS r
         CROSS JOIN LATERAL (
               SELECT x.refclassid, x.refobjid,
                      x.refclassid <> 'pg_proc'::regclass
                      OR r.catalog NOT IN ('pg_type'::regclass, 'pg_proc'::regclass)
                      OR EXISTS (SELECT FROM pg_proc AS f
                                  WHERE r.catalog = 'pg_proc'::regclass AND f.oid = r.object AND f.prokind <> 'a' AND f.prosupport <> x.refobjid)
                 FROM pg_depend AS x
                WHERE x.classid = r.catalog AND x.objid = r.object
                  AND x.refclassid NOT IN ('pg_language'::regclass, 'pg_extension'::regclass)
               UNION ALL
               SELECT 'pg_constraint'::regclass, x.oid, true FROM pg_constraint AS x
                WHERE r.catalog = 'pg_type'::regclass AND x.contypid = r.object
               UNION ALL
               SELECT 'pg_proc'::regclass, x.castfunc, true FROM pg_cast AS x
                WHERE r.catalog = 'pg_type'::regclass AND r.object IN (x.castsource, x.casttarget)
               UNION ALL
               SELECT 'pg_proc'::regclass, x.amproc, false FROM pg_opclass AS c JOIN pg_amproc AS x ON x.amprocfamily = c.opcfamily
                WHERE r.catalog = 'pg_type'::regclass AND c.opcintype = r.object
               UNION ALL
               SELECT 'pg_proc'::regclass, x.amproc, false FROM pg_amop AS o JOIN pg_amproc AS x ON x.amprocfamily = o.amopfamily
                WHERE r.catalog = 'pg_operator'::regclass AND o.amopopr = r.object) AS d (catalog, object, is_asked)
         WHERE d.object >= 16384
    )
    SELECT r.catalog, r.object, r.is_asked FROM reached AS r;
END
$$;

-- Of what is reached, the functions that the rights of a vended role do not bind, and that it may call or need not be let call.
CREATE OR REPLACE FUNCTION rolevend.unbound_reached(p_routines oid[], p_types oid[] DEFAULT '{}', p_operators oid[] DEFAULT '{}')
RETURNS TABLE (routine regprocedure, why text, is_public boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p.oid::regprocedure, w.why,
           bool_and(r.is_asked) AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)
      FROM rolevend.reached(p_routines, p_types, p_operators) AS r
      JOIN pg_proc AS p ON r.catalog = 'pg_proc'::regclass AND p.oid = r.object
      JOIN pg_language AS l ON l.oid = p.prolang
     CROSS JOIN LATERAL (SELECT CASE WHEN p.prosecdef OR p.proleakproof OR NOT l.lanpltrusted OR p.pronamespace = 'rolevend'::regnamespace
                                     THEN rolevend.unbound(p.oid) END) AS w (why)
     WHERE w.why IS NOT NULL AND (NOT r.is_asked OR has_function_privilege('rv_connect', p.oid, 'EXECUTE'))
     GROUP BY p.oid, p.proacl, p.proowner, w.why;
END
$$;

-- What everybody may use of these schemas. What has an oid below 16384 came with PostgreSQL. A row of a table leads to the types of its columns.
CREATE OR REPLACE FUNCTION rolevend.unbound_in(p_schemas oid[]) RETURNS TABLE (routine regprocedure, why text, is_public boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT u.routine, u.why, u.is_public
      FROM rolevend.unbound_reached(
               ARRAY(SELECT p.oid FROM pg_proc AS p
                      WHERE p.pronamespace = ANY (p_schemas) AND p.oid >= 16384 AND has_function_privilege('rv_connect', p.oid, 'EXECUTE')),
               ARRAY(SELECT t.oid FROM pg_type AS t
                      WHERE t.typnamespace = ANY (p_schemas) AND t.oid >= 16384 AND t.typelem = 0
                        AND (t.typrelid = 0
                             OR EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND a.atttypid >= 16384))),
               ARRAY(SELECT o.oid FROM pg_operator AS o WHERE o.oprnamespace = ANY (p_schemas) AND o.oid >= 16384)) AS u
$$;

-- Functions that every vended role can call, that the rights of their caller do not bind, and to which nobody consented: in a schema that
-- everybody may use, brought into reach by what is there, or by a cast between types of PostgreSQL, for which nobody needs a schema.
CREATE OR REPLACE FUNCTION rolevend.opened() RETURNS TABLE (routine regprocedure, why text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT u.routine,
           format(CASE WHEN bool_or(u.is_public) THEN 'every vended role can call it, and it %s; run: REVOKE ALL ON ROUTINE %s FROM PUBLIC'
                       ELSE 'every vended role reaches it without a right on it, and it %s; drop what uses ROUTINE %s' END, u.why, u.routine)
      FROM (SELECT x.*
              FROM rolevend.unbound_in(ARRAY(SELECT n.oid FROM pg_namespace AS n WHERE has_schema_privilege('rv_connect', n.oid, 'USAGE'))) AS x
             UNION ALL
            SELECT x.*
              FROM rolevend.unbound_reached(ARRAY(SELECT c.castfunc FROM pg_cast AS c
                                                   WHERE c.castsource < 16384 AND c.casttarget < 16384 AND c.castfunc >= 16384)) AS x) AS u
     WHERE u.routine::oid NOT IN (SELECT c.routine FROM rolevend.consented AS c)
     GROUP BY u.routine, u.why
$$;

-- Which of these relations everybody may use, and how.
CREATE OR REPLACE FUNCTION rolevend.shared(p_relations oid[]) RETURNS TABLE (privilege text, object text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT a.privilege_type, format('%s %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass)
      FROM pg_class AS c
     CROSS JOIN LATERAL (SELECT c.relacl
                         UNION ALL
                         SELECT t.attacl FROM pg_attribute AS t WHERE t.attrelid = c.oid AND NOT t.attisdropped) AS y (acl)
     CROSS JOIN LATERAL aclexplode(y.acl) AS a
     WHERE c.oid = ANY (p_relations) AND a.grantee = 0;
END
$$;

-- Why agents must not have a function of this schema, or NULL: the use of the schema brings into reach what is there for everybody.
CREATE OR REPLACE FUNCTION rolevend.no_tools_in(p_schema oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT min(format(CASE WHEN x.is_public THEN 'is in a schema where everybody has %1$s on %2$s%3$s; run: REVOKE ALL ON %2$s FROM PUBLIC'
                           ELSE 'is in a schema that brings %2$s into reach%3$s; nobody needs a right on it there' END,
                      x.privilege, x.object, ', which ' || x.why))
      FROM (SELECT u.is_public, 'EXECUTE', format('ROUTINE %s', u.routine), u.why FROM rolevend.unbound_in(ARRAY[p_schema]) AS u
            UNION ALL
            SELECT true, r.privilege, r.object, NULL
              FROM rolevend.shared(ARRAY(SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = p_schema)) AS r)
           AS x (is_public, privilege, object, why)
$$;

-- Why agents must not have this function, or NULL where nothing but its schema speaks against it: it has to act with the rights of its caller
-- alone, and so has whatever comes into reach with it.
CREATE OR REPLACE FUNCTION rolevend.no_tool_itself(p_function oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
    SELECT CASE
           WHEN p.prokind <> 'f' THEN 'is no plain function'
           WHEN NOT l.lanpltrusted THEN format('is written in %I, which no rights bind', l.lanname)
           WHEN p.prosecdef
           THEN format('acts with the rights of %s, and so reads around policies; run: ALTER FUNCTION %s SECURITY INVOKER',
                       p.proowner::regrole, p.oid::regprocedure)
           WHEN p.proleakproof
           THEN format('is LEAKPROOF, and so is shown rows that policies hide; run: ALTER FUNCTION %s NOT LEAKPROOF', p.oid::regprocedure)
           ELSE (SELECT min(format(CASE WHEN x.is_public
                                        THEN 'uses what is in another schema, where everybody has %1$s on %2$s%3$s; run: REVOKE ALL ON %2$s FROM PUBLIC'
                                        ELSE 'uses %2$s%3$s; nobody needs a right on it there' END,
                                   x.privilege, x.object, ', which ' || x.why))
                   FROM (SELECT u.is_public, 'EXECUTE', format('ROUTINE %s', u.routine), u.why
                           FROM rolevend.unbound_reached(ARRAY[p_function]) AS u
                         UNION ALL
                         SELECT true, s.privilege, s.object, NULL
                           FROM rolevend.shared(ARRAY(SELECT r.object FROM rolevend.reached(ARRAY[p_function]) AS r
                                                       WHERE r.catalog = 'pg_class'::regclass)) AS s)
                        AS x (is_public, privilege, object, why))
           END
      FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang
     WHERE p.oid = p_function);
END
$$;

-- The same, and what speaks against every function of its schema.
CREATE OR REPLACE FUNCTION rolevend.no_tool(p_function oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(rolevend.no_tool_itself(p.oid), rolevend.no_tools_in(p.pronamespace)) FROM pg_proc AS p WHERE p.oid = p_function
$$;

RESET ROLE;
