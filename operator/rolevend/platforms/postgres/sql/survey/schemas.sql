-- Those of these schemas that exist: whether who asks may grant their use, and whether the programmer has it already.
SELECT n.nspname::text AS name, o.rolname::text AS owner, pg_has_role(n.nspowner, 'USAGE') AS is_mine,
       EXISTS (SELECT FROM pg_roles AS p WHERE p.rolname = %(programmer)s AND has_schema_privilege(p.oid, n.oid, 'USAGE')) AS is_given
  FROM pg_namespace AS n JOIN pg_roles AS o ON o.oid = n.nspowner
 WHERE n.nspname = ANY (%(schemas)s::name[])
 ORDER BY 1
