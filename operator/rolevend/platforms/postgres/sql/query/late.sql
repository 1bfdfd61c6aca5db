-- Logins that may not connect to this database because PUBLIC lost that right: made after the installation, or left out by somebody.
SELECT r.rolname::text
  FROM pg_roles AS r
 CROSS JOIN rolevend.version AS v
 WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname !~ '^(pg_|IMMUTA_VENDED_)' AND r.rolname NOT IN (v.vendor, v.programmer)
   AND NOT has_database_privilege(r.oid, current_database(), 'CONNECT')
   AND EXISTS (SELECT FROM rolevend.taken AS t
                WHERE t.kind = 'DATABASE' AND t.object = quote_ident(current_database()) AND t.privilege = 'CONNECT')
 ORDER BY 1
