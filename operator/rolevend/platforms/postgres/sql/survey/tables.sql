-- The relations of the governed schemas: who owns them, and who reads them today.
SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, c.oid::regclass::text AS shown,
       o.rolname::text AS owner, o.rolsuper AS owner_is_superuser,
       pg_has_role(o.oid, 'MEMBER WITH ADMIN OPTION') AS owner_is_mine,
       (SELECT min(s.rolname)::text FROM pg_roles AS s
         WHERE (s.rolsuper OR s.rolname = current_user) AND NOT o.rolsuper AND pg_has_role(o.oid, s.oid, 'MEMBER')) AS administrator_above,
       c.relrowsecurity AS has_row_security,
       ARRAY(SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
               FROM (SELECT c.relacl UNION ALL SELECT t.attacl FROM pg_attribute AS t WHERE t.attrelid = c.oid AND NOT t.attisdropped) AS x (acl),
                    aclexplode(x.acl) AS a
              WHERE a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
              ORDER BY 1) AS readers
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_roles AS o ON o.oid = c.relowner
 WHERE n.nspname = ANY (%(schemas)s::name[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
 ORDER BY 1, 2
