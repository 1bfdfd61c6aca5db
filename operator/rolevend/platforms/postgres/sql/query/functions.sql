-- Every function of these schemas, one row each, and what keeps agents from having it.
WITH judged AS MATERIALIZED (   -- once for each schema
    SELECT oid, nspname, nspowner, rolevend.no_tools_in(oid) AS why FROM pg_namespace WHERE nspname = ANY (%(functions)s)
)
SELECT n.nspname::text, p.proname::text, oidvectortypes(p.proargtypes),
       coalesce(rolevend.no_tool_itself(p.oid), n.why, u.unlendable, '')
  FROM pg_proc AS p
  JOIN judged AS n ON n.oid = p.pronamespace
  LEFT JOIN LATERAL (
        SELECT CASE WHEN o.rolsuper
                    THEN format('%s the superuser %I; run: ALTER %s OWNER TO <a role that is no superuser>', x.owned, o.rolname, x.what)
                    ELSE format('%s %I, for whom %I may not act; run: GRANT %2$I TO %3$I WITH INHERIT TRUE, SET FALSE',
                                x.owned, o.rolname, coalesce(%(programmer)s::name, current_user)) END AS unlendable
          FROM (VALUES ('is owned by', p.proowner, format('ROUTINE %s', p.oid::regprocedure)),
                       ('is in a schema that is owned by', n.nspowner, format('SCHEMA %I', n.nspname))) AS x (owned, owner, what)
          JOIN pg_roles AS o ON o.oid = x.owner
         WHERE o.rolsuper OR NOT pg_has_role(coalesce(%(programmer)s::name, current_user), o.oid, 'USAGE')
         ORDER BY x.owned
         LIMIT 1) AS u ON true
 ORDER BY 1, 2, 3
