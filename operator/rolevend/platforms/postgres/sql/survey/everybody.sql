-- Who is there beside the server, rolevend and its vended roles, and is no member of rv_public yet. Others may use names like rv_backup.
SELECT r.rolname::text
  FROM pg_roles AS r
 WHERE NOT r.rolsuper AND r.rolname !~ '^(pg_|IMMUTA_VENDED_)' AND r.rolname <> ALL (%(ours)s::name[])
   AND NOT EXISTS (SELECT FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid
                    WHERE m.member = r.oid
                      AND (g.rolname = 'rv_public'
                           OR g.rolname = 'rv_connect' AND r.rolname ~ '^rv_p_[0-9a-z]+$'
                           OR g.rolname = 'rv_template' AND r.rolname ~ '^rv_t_[0-9a-f]{32}$'))
 ORDER BY 1
