-- What every role of this database, and so every vended one, can use past all policies: for a person to know and to close.
-- What came with PostgreSQL has an oid below 16384. Functions in languages that are not trusted, and LEAKPROOF ones, count where everybody may
-- use their schema, also after the hardening. Extensions that are known to be harmless are those of rolevend.harmless_extensions().
WITH called AS (
    SELECT p.oid, e.extname, p.prosecdef,
           CASE WHEN p.prosecdef THEN format('acts with the rights of %s', p.proowner::regrole)
                WHEN p.proleakproof THEN 'is LEAKPROOF'
                ELSE format('is written in %I', l.lanname) END AS why,
           EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a WHERE a.grantee = 0 AND a.privilege_type = 'USAGE')
           AND NOT (n.nspname = 'public' AND pg_has_role(n.nspowner, 'USAGE')) AS is_open
      FROM pg_proc AS p
      JOIN pg_language AS l ON l.oid = p.prolang
      JOIN pg_namespace AS n ON n.oid = p.pronamespace
      LEFT JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      LEFT JOIN pg_extension AS e ON e.oid = d.refobjid
     WHERE p.oid >= 16384 AND n.nspname <> 'rolevend'
       AND (p.prosecdef OR p.proleakproof OR NOT l.lanpltrusted)
       AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)
       AND (p.prosecdef OR p.proleakproof
            OR e.extname IS NULL
            OR e.extname <> ALL ('{btree_gin,btree_gist,citext,cube,dict_int,earthdistance,fuzzystrmatch,hstore,intarray,isn,ltree,pg_trgm,pgcrypto,seg,unaccent,uuid-ossp,vector}'))
)
SELECT 'relation' AS kind, c.oid::regclass::text AS object, string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type) AS what
  FROM pg_class AS c
 CROSS JOIN LATERAL (SELECT c.relacl
                     UNION ALL
                     SELECT t.attacl FROM pg_attribute AS t WHERE t.attrelid = c.oid AND NOT t.attisdropped) AS x (acl)
 CROSS JOIN LATERAL aclexplode(x.acl) AS a
 WHERE a.grantee = 0 AND c.relnamespace <> ALL (ARRAY['pg_catalog', 'information_schema']::regnamespace[])
 GROUP BY c.oid
UNION ALL
SELECT 'function', oid::regprocedure::text, why FROM called WHERE extname IS NULL AND (prosecdef OR is_open)
UNION ALL
SELECT 'extension', quote_ident(extname), format('%s of its functions, such as %s, which %s', count(*), min(oid::regprocedure::text),
                                                 (array_agg(why ORDER BY oid::regprocedure::text))[1])
  FROM called WHERE extname IS NOT NULL AND (prosecdef OR is_open) GROUP BY extname
UNION ALL
SELECT 'setting', p.parname, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
  FROM pg_parameter_acl AS p CROSS JOIN LATERAL aclexplode(p.paracl) AS a WHERE a.grantee = 0 GROUP BY p.parname
UNION ALL
SELECT 'default', pg_describe_object('pg_default_acl'::regclass, d.oid, 0), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)
  FROM pg_default_acl AS d CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
 WHERE a.grantee = 0 AND d.defaclobjtype IN ('r', 'S', 'n', 'L') GROUP BY d.oid
 ORDER BY 1, 2
