-- What our roles own in this database beside what an installation and the operator make.
SELECT r.rolname::text AS role, pg_describe_object(d.classid, d.objid, d.objsubid) AS object
  FROM pg_shdepend AS d
  JOIN pg_roles AS r ON r.oid = d.refobjid
 CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS i
 WHERE d.refclassid = 'pg_authid'::regclass AND d.deptype = 'o'
   AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND r.rolname = ANY (%(going)s::name[])
   AND NOT (coalesce(i.schema, '') = ANY (SELECT quote_ident(s) FROM unnest(%(going_schemas)s::text[]) AS s)
            OR i.type = 'schema' AND i.name = ANY (SELECT quote_ident(s) FROM unnest(%(going_schemas)s::text[]) AS s)
            OR i.type = 'event trigger' AND i.name IN ('rv_login', 'rv_guard'))
 ORDER BY 1, 2
