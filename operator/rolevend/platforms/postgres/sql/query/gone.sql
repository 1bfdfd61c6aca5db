-- Which of these roles still exist, or still have a session: the last look after a drop.
SELECT l.role::text
  FROM unnest(%(roles)s::name[]) AS l (role)
 WHERE EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = l.role)
    OR EXISTS (SELECT FROM rolevend.lease AS t JOIN pg_stat_activity AS a ON a.usesysid = t.role_oid
                WHERE t.role = l.role AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = t.role_oid AND r.rolname <> t.role))
