-- Those of our roles that exist, with what makes them strong.
SELECT r.rolname::text AS name, r.oid::bigint AS oid, r.rolsuper AS is_superuser, r.rolcanlogin AS can_login,
       r.rolcreaterole OR r.rolbypassrls OR r.rolcreatedb OR r.rolreplication AS is_strong,
       r.rolcreaterole AS makes_roles,
       pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS is_mine,
       pg_has_role(r.oid, 'USAGE') AS is_held,
       pg_has_role(r.oid, 'pg_use_reserved_connections', 'USAGE') AS gets_reserved,
       -- Other than to get a connection where nobody else does.
       ARRAY(SELECT m.roleid::regrole::text FROM pg_auth_members AS m
              WHERE m.member = r.oid AND (m.inherit_option OR m.set_option)
                AND m.roleid <> 'pg_use_reserved_connections'::regrole ORDER BY 1) AS member_of
  FROM pg_roles AS r
 WHERE r.rolname = ANY (%(names)s::name[])
