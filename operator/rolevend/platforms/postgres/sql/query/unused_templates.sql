-- Templates of one cluster that own no view, and were not made since.
SELECT t.template::text
  FROM rolevend.template AS t
 WHERE t.cluster_id = %(cluster)s AND t.created_at < %(since)s
   AND NOT EXISTS (SELECT FROM rolevend.profile AS p WHERE t.template = ANY (p.templates))
   AND NOT EXISTS (SELECT FROM pg_class AS v JOIN pg_roles AS r ON r.oid = v.relowner WHERE r.rolname = t.template)
 ORDER BY 1
