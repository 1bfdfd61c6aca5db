-- Templates of one cluster that own no view, with the present name of their table (NULL where it is gone).
SELECT t.template::text, n.nspname::text, c.relname::text
  FROM rolevend.template AS t
  LEFT JOIN pg_class AS c ON c.oid = t.table_oid
  LEFT JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE t.cluster_id = %(cluster)s
   AND NOT EXISTS (SELECT FROM rolevend.profile AS p WHERE t.template = ANY (p.templates))
   AND NOT EXISTS (SELECT FROM pg_class AS v JOIN pg_roles AS r ON r.oid = v.relowner WHERE r.rolname = t.template)
 ORDER BY 1
