-- What the server says of itself, and what it lacks.
SELECT current_setting('server_version_num')::integer >= 170000,
       EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'rv_login' AND evtenabled <> 'D'),
       pg_has_role(o.oid, 'pg_signal_backend'::regrole, 'USAGE'),
       (SELECT s.at > clock_timestamp() - interval '5 minutes' FROM rolevend.swept AS s),
       current_setting('max_prepared_transactions')::integer,
       ARRAY(SELECT r.rolname::text FROM pg_roles AS r
              WHERE r.rolname LIKE 'IMMUTA\_VENDED\_%' AND NOT EXISTS (SELECT FROM rolevend.lease AS l WHERE l.role = r.rolname) ORDER BY 1),
       -- Roles that were granted a governed table after its row security was switched on, and see nothing in it.
       ARRAY(SELECT DISTINCT format('%I on %s: SELECT rolevend.admit(%L, %L)', r.rolname, c.oid::regclass, c.oid::regclass, quote_ident(r.rolname))
               FROM pg_class AS c
              CROSS JOIN LATERAL aclexplode(c.relacl) AS a
               JOIN pg_roles AS r ON r.oid = a.grantee
              WHERE c.oid IN (SELECT t.table_oid FROM rolevend.template AS t)
                AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
                AND NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname !~ '^rv_t_[0-9a-f]{32}$'
                AND NOT EXISTS (SELECT FROM pg_policy AS p CROSS JOIN LATERAL unnest(p.polroles) AS x
                                 WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
                                   AND (x = 0 OR pg_has_role(r.oid, x, 'USAGE')))
              ORDER BY 1),
       current_setting('track_activities')::boolean,
       has_parameter_privilege('rv_owner', 'temp_file_limit', 'SET'),
       (SELECT s.domain FROM rolevend.salt AS s),
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - current_setting('reserved_connections')::integer,
       current_setting('reserved_connections')::integer,
       -- Those of our logins that get none of the reserved ones.
       ARRAY(SELECT r.rolname::text FROM rolevend.version AS i JOIN pg_roles AS r ON r.rolname IN (i.vendor, i.programmer)
              WHERE NOT pg_has_role(r.oid, 'pg_use_reserved_connections', 'USAGE') ORDER BY 1)
  FROM pg_roles AS o
 WHERE o.rolname = 'rv_owner'
