-- The rights of PUBLIC that a vended role must not have, as GRANT and REVOKE name them, and whether who asks may take them away. With the oid
-- of another grantee: what this one has of the same kind.
-- Every database of the server, since a vended role exists in all of them.
SELECT 'DATABASE' AS kind, quote_ident(d.datname) AS object, a.privilege_type AS privilege, pg_has_role(d.datdba, 'USAGE') AS may_be_taken
  FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
 WHERE d.datallowconn AND a.grantee = %(grantee)s::oid AND (a.privilege_type = 'CONNECT' OR d.datname = current_database())
UNION ALL
SELECT 'SCHEMA', quote_ident(n.nspname), a.privilege_type, pg_has_role(n.nspowner, 'USAGE')
  FROM pg_namespace AS n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
 WHERE n.nspname = 'public' AND a.grantee = %(grantee)s::oid
UNION ALL
-- DO blocks: a loop in one statement, and a way around a client that looks at statements.
SELECT 'LANGUAGE', quote_ident(l.lanname), a.privilege_type, pg_has_role(l.lanowner, 'USAGE')
  FROM pg_language AS l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) AS a
 WHERE l.lanpltrusted AND l.lanname <> 'sql' AND a.grantee = %(grantee)s::oid
UNION ALL
-- Large objects, locks and messages that outlive or leave the session, and dblink, which writes to other servers.
SELECT 'FUNCTION', p.oid::regprocedure::text, a.privilege_type, pg_has_role(p.proowner, 'USAGE')
  FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
 WHERE a.grantee = %(grantee)s::oid
   AND ((p.pronamespace = 'pg_catalog'::regnamespace
         AND p.proname ~ '^(lo_.*|loread|lowrite|pg_(try_)?advisory_.*|pg_notify|pg_export_snapshot|pg_logical_emit_message)$')
        OR p.proname ~ '^dblink' AND p.prokind <> 'p' AND p.pronamespace::regnamespace::text !~ '^pg_temp_')
 ORDER BY 1, 2, 3
