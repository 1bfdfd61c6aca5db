-- Who is there beside the server, rolevend and its vended roles, and is no member of rv_public yet.
SELECT r.rolname::text
  FROM pg_roles AS r
 WHERE NOT r.rolsuper AND r.rolname !~ '^(pg_|rv_|IMMUTA_VENDED_)' AND r.rolname <> ALL (%(ours)s::name[])
   AND NOT EXISTS (SELECT FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid
                    WHERE g.rolname = 'rv_public' AND m.member = r.oid)
 ORDER BY 1
