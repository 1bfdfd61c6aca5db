-- Logins that have one of these rights through PUBLIC alone.
WITH taken (kind, object, acl) AS (
    SELECT 'CONNECT or TEMPORARY on database', datname::text, coalesce(datacl, acldefault('d', datdba))
      FROM pg_database WHERE datallowconn
    UNION ALL
    SELECT 'USAGE or CREATE on schema', nspname::text, coalesce(nspacl, acldefault('n', nspowner))
      FROM pg_namespace WHERE nspname = 'public'
    UNION ALL
    SELECT 'USAGE on language', lanname::text, coalesce(lanacl, acldefault('l', lanowner))
      FROM pg_language WHERE lanpltrusted AND lanname <> 'sql'
)
SELECT r.rolname::text, array_agg(DISTINCT t.kind || ' ' || t.object ORDER BY t.kind || ' ' || t.object)
  FROM pg_roles AS r, taken AS t, aclexplode(t.acl) AS a
 WHERE a.grantee = 0 AND r.rolcanlogin AND NOT r.rolsuper
   AND r.rolname !~ '^IMMUTA_VENDED_' AND r.rolname <> ALL (%(ours)s::name[])
   AND NOT EXISTS (SELECT FROM aclexplode(t.acl) AS b
                    WHERE b.grantee <> 0 AND b.privilege_type = a.privilege_type AND pg_has_role(r.oid, b.grantee, 'USAGE'))
 GROUP BY 1 ORDER BY 1
