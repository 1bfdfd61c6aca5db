-- Every relation of these schemas that a policy could name, one row each. Partitions are left out: they are read through the
-- table that they belong to. A column of a domain counts as one of the type beneath it. In schemas of agents' own a table must not share
-- rows with one that is elsewhere: row security of the table that is named decides, and not that of its parents and children. A comment that
-- is too long to be read for all tables becomes an unreadable tag: some tag may be in it, so the table is granted to nobody.
WITH RECURSIVE beneath (domain, type) AS (
    SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT b.domain, t.typbasetype FROM beneath AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype = 'd'
), base (domain, type) AS (
    SELECT b.domain, b.type FROM beneath AS b JOIN pg_type AS t ON t.oid = b.type WHERE t.typtype <> 'd'
), above (child, parent) AS (
    SELECT inhrelid, inhparent FROM pg_inherits
    UNION
    SELECT a.child, i.inhparent FROM above AS a JOIN pg_inherits AS i ON i.inhrelid = a.parent
), constrained (relation, constraints) AS MATERIALIZED (
    SELECT s.conrelid,
           jsonb_agg(jsonb_build_array(s.contype::text, s.conkey::integer[], m.nspname, r.relname, s.confkey::integer[],
                                       CASE s.contype WHEN 'c' THEN pg_get_constraintdef(s.oid) END) ORDER BY s.conname)
      FROM pg_constraint AS s
      JOIN pg_class AS c ON c.oid = s.conrelid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
      LEFT JOIN pg_class AS r ON r.oid = s.confrelid
      LEFT JOIN pg_namespace AS m ON m.oid = r.relnamespace
     WHERE n.nspname = ANY (%(schemas)s) AND s.conparentid = 0
       AND (s.contype IN ('p', 'f')
            -- A list of values is short. Its owner chose the text: pg_get_constraintdef exhausts the stack for a deep one, for all tables.
            OR s.contype = 'c' AND s.convalidated AND cardinality(s.conkey) = 1 AND octet_length(s.conbin::text) <= 65536)
     GROUP BY s.conrelid
)
SELECT n.nspname, c.relname, c.relkind::text,
       CASE WHEN k.kin IS NOT NULL
            THEN format('shares rows with %s, which is in another schema', k.kin)
            WHEN o.rolsuper
            THEN format('is owned by the superuser %I; run: ALTER TABLE %s OWNER TO <a role that is no superuser>',
                        o.rolname, c.oid::regclass)
            WHEN NOT pg_has_role(coalesce(%(programmer)s::name, current_user), c.relowner, 'USAGE')
            THEN format('is owned by %1$I, for whom %2$I may not act; run: GRANT %1$I TO %2$I WITH INHERIT TRUE, SET FALSE',
                        o.rolname, coalesce(%(programmer)s::name, current_user))
            ELSE '' END,
       CASE WHEN octet_length(d.description) > 16384 THEN 'rolevend: a comment of more than 16384 bytes'
            ELSE coalesce(d.description, '') END,
       coalesce(s.constraints, '[]'),
       coalesce((SELECT jsonb_agg(jsonb_build_array(
                            a.attname,
                            CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace AND coalesce(k.collisdeterministic, true)
                                 THEN t.typname ELSE '' END,
                            format_type(t.oid, -1),
                            CASE WHEN octet_length(e.description) > 16384 THEN 'rolevend: a comment of more than 16384 bytes'
                                 ELSE coalesce(e.description, '') END,
                            a.attnum) ORDER BY a.attnum)
                   FROM pg_attribute AS a
                   LEFT JOIN base AS b ON b.domain = a.atttypid
                   JOIN pg_type AS t ON t.oid = coalesce(b.type, a.atttypid)
                   LEFT JOIN pg_collation AS k ON k.oid = a.attcollation
                   LEFT JOIN pg_description AS e
                     ON e.classoid = 'pg_class'::regclass AND e.objoid = c.oid AND e.objsubid = a.attnum
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]')
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_roles AS o ON o.oid = c.relowner
  LEFT JOIN constrained AS s ON s.relation = c.oid
  LEFT JOIN pg_description AS d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0
  LEFT JOIN LATERAL (
        SELECT min(r.oid::regclass::text) AS kin
          FROM above AS a JOIN pg_class AS r ON r.oid = CASE c.oid WHEN a.child THEN a.parent WHEN a.parent THEN a.child END
         WHERE n.nspname = ANY (%(own)s) AND r.relnamespace <> c.relnamespace) AS k ON true
 WHERE n.nspname = ANY (%(schemas)s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
 ORDER BY 1, 2
