-- Rights of our roles that DROP OWNED leaves, because somebody else than the owner of the object granted them, or because who asks does not act
-- for the owner. Rights on settings are in parameters.sql.
WITH objects (classid, objid, objsubid, owner, acl) AS (
    SELECT 'pg_class'::regclass, oid, 0, relowner, relacl FROM pg_class
    UNION ALL
    SELECT 'pg_class'::regclass, a.attrelid, a.attnum, c.relowner, a.attacl FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    UNION ALL
    SELECT 'pg_proc'::regclass, oid, 0, proowner, proacl FROM pg_proc
    UNION ALL
    SELECT 'pg_namespace'::regclass, oid, 0, nspowner, nspacl FROM pg_namespace
    UNION ALL
    SELECT 'pg_type'::regclass, oid, 0, typowner, typacl FROM pg_type
    UNION ALL
    SELECT 'pg_language'::regclass, oid, 0, lanowner, lanacl FROM pg_language
    UNION ALL
    SELECT 'pg_largeobject'::regclass, oid, 0, lomowner, lomacl FROM pg_largeobject_metadata
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwowner, fdwacl FROM pg_foreign_data_wrapper
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, oid, 0, srvowner, srvacl FROM pg_foreign_server
    UNION ALL
    SELECT 'pg_database'::regclass, oid, 0, datdba, datacl FROM pg_database
    UNION ALL
    SELECT 'pg_tablespace'::regclass, oid, 0, spcowner, spcacl FROM pg_tablespace
)
SELECT pg_describe_object(o.classid, o.objid, o.objsubid) AS object, r.rolname::text AS role, g.rolname::text AS grantor
  FROM objects AS o
 CROSS JOIN LATERAL aclexplode(o.acl) AS a
  JOIN pg_roles AS r ON r.oid = a.grantee
  JOIN pg_roles AS w ON w.oid = o.owner AND w.rolname <> ALL (%(going)s::name[])
  JOIN pg_roles AS g ON g.oid = a.grantor
 WHERE o.acl IS NOT NULL AND a.grantee <> o.owner AND r.rolname = ANY (%(going)s::name[])
   AND (a.grantor <> o.owner OR NOT pg_has_role(o.owner, 'USAGE'))
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
