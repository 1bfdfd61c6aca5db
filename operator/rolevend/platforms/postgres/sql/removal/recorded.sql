-- Roles of profiles and templates by the record of them, also where somebody dropped or revoked rv_connect or rv_template.
SELECT x.kind, r.rolname::text AS name, pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS is_mine
  FROM (SELECT 'profile' AS kind, p.profile AS name FROM rolevend.profile AS p
        UNION ALL
        SELECT 'template', t.template FROM rolevend.template AS t) AS x
  JOIN pg_roles AS r ON r.rolname = x.name AND NOT r.rolcanlogin
 ORDER BY 1, 2
