-- What somebody else made in the schema rolevend, or in that of a profile.
SELECT format('%s %s', x.kind, x.name)
  FROM (SELECT 'relation' AS kind, c.oid::regclass::text AS name, c.relowner AS owner, c.relnamespace AS schema FROM pg_class AS c WHERE c.relkind <> 'i'
        UNION ALL
        SELECT 'routine', p.oid::regprocedure::text, p.proowner, p.pronamespace FROM pg_proc AS p
        UNION ALL
        SELECT 'type', t.oid::regtype::text, t.typowner, t.typnamespace FROM pg_type AS t WHERE t.typrelid = 0 AND t.typelem = 0) AS x
  JOIN pg_namespace AS n ON n.oid = x.schema AND n.nspname = ANY (%(going_schemas)s::name[])
  JOIN pg_roles AS o ON o.oid = x.owner
 WHERE CASE n.nspname WHEN 'rolevend' THEN o.rolname <> 'rv_owner' ELSE o.rolname <> ALL (%(going)s::name[]) AND o.rolname <> %(programmer)s END
 ORDER BY 1
