-- The roles of templates and profiles, also of those that a build left behind, and the schemas of profiles. A name alone proves nothing: others
-- may use such names, too.
SELECT CASE g.rolname WHEN 'rv_connect' THEN 'profile' ELSE 'template' END AS kind, r.rolname::text AS name,
       pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS is_mine
  FROM pg_auth_members AS m
  JOIN pg_roles AS g ON g.oid = m.roleid
  JOIN pg_roles AS r ON r.oid = m.member
 WHERE NOT r.rolcanlogin
   AND (g.rolname = 'rv_connect' AND r.rolname ~ '^rv_p_[0-9a-z]+$' OR g.rolname = 'rv_template' AND r.rolname ~ '^rv_t_[0-9a-f]{32}$')
 GROUP BY 1, r.oid, r.rolname
UNION ALL
SELECT 'schema', n.nspname::text, pg_has_role(n.nspowner, 'USAGE')
  FROM pg_namespace AS n JOIN pg_roles AS o ON o.oid = n.nspowner
 WHERE n.nspname ~ '^rv_p_[0-9a-z]+$' AND o.rolname = %(programmer)s
 ORDER BY 1, 2
