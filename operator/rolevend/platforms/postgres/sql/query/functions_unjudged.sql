-- Every function of these schemas where nobody judges them: none can be given.
SELECT n.nspname::text, p.proname::text, oidvectortypes(p.proargtypes), 'is not judged: that takes rolevend in the database, and a login that may ask it'
  FROM pg_proc AS p
  JOIN pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname = ANY (%(functions)s)
 ORDER BY 1, 2, 3
