-- What the observer's login may do beside what the installation gave to it; nothing where there is none. An older installation has no observer.
WITH observer AS (
    SELECT r.* FROM rolevend.version AS v JOIN pg_roles AS r ON r.rolname = to_jsonb(v) ->> 'observer'
)
SELECT CASE WHEN d.dbid IN (0, b.oid) THEN pg_describe_object(d.classid, d.objid, d.objsubid)
            ELSE format('something in the database %s', (SELECT datname FROM pg_database WHERE oid = d.dbid)) END
  FROM observer AS o
  JOIN pg_shdepend AS d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = o.oid
  JOIN pg_database AS b ON b.datname = current_database()
 WHERE NOT (d.deptype = 'a' AND d.dbid IN (0, b.oid)
            AND (d.classid, d.objid) IN (('pg_database'::regclass, b.oid), ('pg_namespace'::regclass, to_regnamespace('rolevend')),
                                         ('pg_proc'::regclass, to_regprocedure('rolevend.running(text[],integer)'))))
UNION
SELECT format('a member of %s', m.roleid::regrole) FROM observer AS o JOIN pg_auth_members AS m ON m.member = o.oid
UNION
SELECT format('%s is a member of it', m.member::regrole)
  FROM observer AS o JOIN pg_auth_members AS m ON m.roleid = o.oid AND (m.inherit_option OR m.set_option)
 WHERE m.set_option OR m.member <> to_regrole('rv_owner')
UNION
SELECT 'an attribute of its role'
  FROM observer AS o WHERE o.rolsuper OR o.rolcreaterole OR o.rolcreatedb OR o.rolreplication OR o.rolbypassrls
UNION
SELECT 'to create in the database, or in the schema rolevend'
  FROM observer AS o
 WHERE has_database_privilege(o.oid, current_database(), 'CREATE') OR has_schema_privilege(o.oid, 'rolevend', 'CREATE')
 ORDER BY 1
