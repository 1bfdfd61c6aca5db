-- Who could use one of our roles, or let others use it, and neither installs nor is of rolevend: somebody who made a role before the installation
-- is its admin. Members of rv_owner install, too, once it is there.
SELECT DISTINCT g.rolname::text AS role, h.rolname::text AS holder
  FROM pg_auth_members AS m
  JOIN pg_roles AS g ON g.oid = m.roleid
  JOIN pg_roles AS h ON h.oid = m.member
 WHERE g.rolname = ANY (%(names)s::name[])
   AND NOT h.rolsuper AND h.rolname NOT IN (current_user, 'rv_owner')
   AND NOT (%(installed)s AND EXISTS (SELECT FROM pg_roles AS o WHERE o.rolname = 'rv_owner' AND pg_has_role(h.oid, o.oid, 'MEMBER')))
   AND (m.admin_option
        OR g.rolname <> 'rv_public'
           AND NOT (g.rolname = 'rv_connect' AND h.rolname ~ '^rv_p_[0-9a-z]+$' AND NOT h.rolcanlogin)
           AND NOT (g.rolname = 'rv_template' AND h.rolname ~ '^rv_t_[0-9a-f]{32}$' AND NOT h.rolcanlogin))
 ORDER BY 1, 2
