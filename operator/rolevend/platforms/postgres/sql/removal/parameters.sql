-- Rights on settings that somebody else granted to our roles: an administrator who is no superuser, where a superuser uninstalls now.
SELECT e.grantee::regrole::text AS role, g.rolname::text AS grantor, p.parname AS parameter
  FROM pg_parameter_acl AS p
 CROSS JOIN LATERAL aclexplode(p.paracl) AS e
  JOIN pg_roles AS g ON g.oid = e.grantor
 WHERE e.grantee IN (SELECT r.oid FROM pg_roles AS r WHERE r.rolname = ANY (%(going)s::name[]))
   AND NOT g.rolsuper AND g.rolname <> current_user
 ORDER BY 1, 2, 3
