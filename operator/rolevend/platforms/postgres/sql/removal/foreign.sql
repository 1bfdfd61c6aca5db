-- What somebody else made in the schema rolevend.
SELECT format('%s %s', x.kind, x.name)
  FROM (SELECT 'relation' AS kind, c.oid::regclass::text AS name, c.relowner AS owner, c.relnamespace AS schema FROM pg_class AS c WHERE c.relkind NOT IN ('i', 'c')
        UNION ALL
        SELECT 'routine', p.oid::regprocedure::text, p.proowner, p.pronamespace FROM pg_proc AS p
        UNION ALL
        SELECT 'type', t.oid::regtype::text, t.typowner, t.typnamespace FROM pg_type AS t WHERE t.typrelid = 0 AND t.typelem = 0) AS x
 WHERE x.schema = (SELECT oid FROM pg_namespace WHERE nspname = 'rolevend')
   AND x.owner <> (SELECT oid FROM pg_roles WHERE rolname = 'rv_owner')
 ORDER BY 1
