-- Other databases in which one of our roles has a right or an object: it cannot be dropped then.
SELECT r.rolname::text AS role, b.datname::text AS database
  FROM pg_shdepend AS d
  JOIN pg_roles AS r ON r.oid = d.refobjid
  JOIN pg_database AS b ON b.oid = d.dbid
 WHERE d.refclassid = 'pg_authid'::regclass AND b.datname <> current_database()
   AND r.rolname = ANY (%(going)s::name[])
 GROUP BY 1, 2 ORDER BY 1, 2
