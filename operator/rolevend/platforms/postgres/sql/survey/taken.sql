-- What the hardening took from PUBLIC, and whether who asks may give it back; NULL: the object is gone. rv_public has it instead: where somebody
-- took it from rv_public, too, or another object has the name now, PUBLIC gets nothing back. A rv_public that is gone says nothing.
SELECT t.kind, t.object, t.privilege, pg_has_role(o.owner, 'USAGE') AS may_be_given,
       o.owner IS NULL OR p.oid IS NULL
       OR EXISTS (SELECT FROM aclexplode(coalesce(o.acl, acldefault(o.letter, o.owner))) AS a
                   WHERE a.grantee = p.oid AND a.privilege_type = t.privilege) AS is_kept
  FROM rolevend.taken AS t
  LEFT JOIN pg_roles AS p ON p.rolname = 'rv_public'
  LEFT JOIN LATERAL (
      SELECT d.datdba AS owner, d.datacl AS acl, 'd'::"char" AS letter FROM pg_database AS d WHERE t.kind = 'DATABASE' AND quote_ident(d.datname) = t.object
      UNION ALL
      SELECT n.nspowner, n.nspacl, 'n' FROM pg_namespace AS n WHERE t.kind = 'SCHEMA' AND quote_ident(n.nspname) = t.object
      UNION ALL
      SELECT l.lanowner, l.lanacl, 'l' FROM pg_language AS l WHERE t.kind = 'LANGUAGE' AND quote_ident(l.lanname) = t.object
      UNION ALL
      SELECT f.proowner, f.proacl, 'f' FROM pg_proc AS f WHERE t.kind = 'FUNCTION' AND f.oid = to_regprocedure(t.object)) AS o ON true
 ORDER BY 1, 2, 3
