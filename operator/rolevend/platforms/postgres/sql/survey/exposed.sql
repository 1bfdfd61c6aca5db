-- What every role of this database, and so every vended one, can use past all policies: for a person to know and to close.
SELECT 'relation' AS kind, c.oid::regclass::text AS object, string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type) AS what
  FROM pg_class AS c
 CROSS JOIN LATERAL (SELECT c.relacl
                     UNION ALL
                     SELECT t.attacl FROM pg_attribute AS t WHERE t.attrelid = c.oid AND NOT t.attisdropped) AS x (acl)
 CROSS JOIN LATERAL aclexplode(x.acl) AS a
 WHERE a.grantee = 0 AND c.relnamespace <> ALL (ARRAY['pg_catalog', 'information_schema']::regnamespace[])
 GROUP BY c.oid
UNION ALL
SELECT 'function', p.oid::regprocedure::text, p.proowner::regrole::text
  FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
 WHERE p.prosecdef AND a.grantee = 0 AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, coalesce(to_regnamespace('rolevend'), 0::oid::regnamespace))
 ORDER BY 1, 2
