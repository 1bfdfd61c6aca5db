-- Rights of rv_public, by object, as GRANT names it where the hardening takes such rights. Roles lose them with rv_public.
SELECT DISTINCT
       CASE d.classid WHEN 'pg_database'::regclass THEN 'DATABASE' WHEN 'pg_namespace'::regclass THEN 'SCHEMA'
                      WHEN 'pg_language'::regclass THEN 'LANGUAGE' WHEN 'pg_proc'::regclass THEN 'FUNCTION' ELSE '' END AS kind,
       CASE d.classid
           WHEN 'pg_database'::regclass THEN (SELECT quote_ident(b.datname) FROM pg_database AS b WHERE b.oid = d.objid)
           WHEN 'pg_namespace'::regclass THEN (SELECT quote_ident(n.nspname) FROM pg_namespace AS n WHERE n.oid = d.objid)
           WHEN 'pg_language'::regclass THEN (SELECT quote_ident(l.lanname) FROM pg_language AS l WHERE l.oid = d.objid)
           WHEN 'pg_proc'::regclass THEN d.objid::regprocedure::text
       END AS object,
       pg_describe_object(d.classid, d.objid, d.objsubid) AS shown,
       p.oid IS NOT NULL AS is_policy
  FROM pg_shdepend AS d
  LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
 WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = (SELECT oid FROM pg_roles WHERE rolname = 'rv_public')
   AND d.deptype IN ('a', 'r') AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND p.polname IS DISTINCT FROM 'rv_readers'
 ORDER BY 3
