-- Schemas on which the programmer's login has USAGE by name, beside those of rolevend.
SELECT n.nspname::text
  FROM pg_namespace AS n CROSS JOIN LATERAL aclexplode(n.nspacl) AS a
 WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = %(programmer)s) AND a.privilege_type = 'USAGE'
   AND n.nspname <> 'rolevend' AND n.nspname !~ '^rv_p_'
 ORDER BY 1
