-- Of logins that stay: the roles that an installation makes them members of.
SELECT p.rolname::text AS login, g.rolname::text AS role, r.rolname::text AS grantor
  FROM pg_auth_members AS m
  JOIN pg_roles AS g ON g.oid = m.roleid
  JOIN pg_roles AS p ON p.oid = m.member
  JOIN pg_roles AS r ON r.oid = m.grantor
 WHERE p.rolname = ANY (%(staying)s::name[]) AND m.inherit_option AND NOT m.set_option
   AND (g.rolname = 'pg_use_reserved_connections'
        OR EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
                    WHERE c.relowner = g.oid AND n.nspname = ANY (%(schemas)s::name[]))
        OR EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspowner = g.oid AND n.nspname = ANY (%(functions)s::name[])))
 ORDER BY 1, 2, 3
