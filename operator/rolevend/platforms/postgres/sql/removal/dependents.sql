-- What somebody else made that uses something of ours, and would go with it.
WITH schemas AS (
    SELECT oid FROM pg_namespace WHERE nspname = ANY (%(going_schemas)s::name[])
), ours AS (
    SELECT 'pg_class'::regclass AS classid, oid FROM pg_class WHERE relnamespace IN (SELECT oid FROM schemas)
    UNION ALL
    SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace IN (SELECT oid FROM schemas)
    UNION ALL
    SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace IN (SELECT oid FROM schemas)
), found AS (
    SELECT DISTINCT d.classid, d.objid
      FROM ours AS o JOIN pg_depend AS d ON d.refclassid = o.classid AND d.refobjid = o.oid
     WHERE d.deptype = 'n'
)
SELECT pg_describe_object(f.classid, f.objid, 0)
  FROM found AS f
  LEFT JOIN pg_rewrite AS w ON f.classid = 'pg_rewrite'::regclass AND w.oid = f.objid
  LEFT JOIN pg_attrdef AS a ON f.classid = 'pg_attrdef'::regclass AND a.oid = f.objid
  LEFT JOIN pg_trigger AS t ON f.classid = 'pg_trigger'::regclass AND t.oid = f.objid
  LEFT JOIN pg_constraint AS k ON f.classid = 'pg_constraint'::regclass AND k.oid = f.objid
  LEFT JOIN pg_class AS c ON c.oid = coalesce(w.ev_class, a.adrelid, t.tgrelid, CASE f.classid WHEN 'pg_class'::regclass THEN f.objid END)
  LEFT JOIN pg_proc AS p ON f.classid = 'pg_proc'::regclass AND p.oid = f.objid
  LEFT JOIN pg_type AS y ON f.classid = 'pg_type'::regclass AND y.oid = f.objid
  LEFT JOIN pg_policy AS l ON f.classid = 'pg_policy'::regclass AND l.oid = f.objid
  LEFT JOIN pg_event_trigger AS e ON f.classid = 'pg_event_trigger'::regclass AND e.oid = f.objid
 WHERE (coalesce(c.relnamespace, p.pronamespace, y.typnamespace, k.connamespace) IN (SELECT oid FROM schemas)
        OR l.polname ~ '^rv_t_[0-9a-f]{32}(_open)?$' OR e.evtname IN ('rv_login', 'rv_guard')) IS NOT TRUE
 ORDER BY 1
