-- Those of our roles that exist, with what makes them strong.
SELECT r.rolname::text AS name, r.rolsuper AS is_superuser, r.rolcanlogin AS can_login,
       r.rolcreaterole OR r.rolbypassrls OR r.rolcreatedb OR r.rolreplication AS is_strong,
       r.rolcreaterole AS makes_roles,
       pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS is_mine,
       ARRAY(SELECT m.roleid::regrole::text FROM pg_auth_members AS m
              WHERE m.member = r.oid AND (m.inherit_option OR m.set_option) ORDER BY 1) AS member_of
  FROM pg_roles AS r
 WHERE r.rolname = ANY (%(names)s::name[])
