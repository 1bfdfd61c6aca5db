-- What the hardening took from PUBLIC, and whether who asks may give it back; NULL: the object is gone.
SELECT t.kind, t.object, t.privilege,
       CASE t.kind
           WHEN 'DATABASE' THEN (SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database AS d WHERE quote_ident(d.datname) = t.object)
           WHEN 'SCHEMA' THEN (SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace AS n WHERE quote_ident(n.nspname) = t.object)
           WHEN 'LANGUAGE' THEN (SELECT pg_has_role(l.lanowner, 'USAGE') FROM pg_language AS l WHERE quote_ident(l.lanname) = t.object)
           WHEN 'FUNCTION' THEN (SELECT pg_has_role(p.proowner, 'USAGE') FROM pg_proc AS p WHERE p.oid = to_regprocedure(t.object))
       END AS may_be_given
  FROM rolevend.taken AS t
 ORDER BY 1, 2, 3
