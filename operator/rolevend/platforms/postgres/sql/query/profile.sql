-- One profile as it is built: the digest of its SQL, whether a view in it was made or changed by hand, whether it must be built again
-- because an earlier version built it, a view is gone, or a table or a function was replaced by another one of the same name, and the
-- comments on its views and their columns.
SELECT p.digest, p.drift,
       EXISTS (SELECT FROM jsonb_each(v.now) AS n WHERE p.views -> n.key IS DISTINCT FROM n.value) AS altered,
       p.form < 2
       OR EXISTS (SELECT FROM jsonb_object_keys(p.views) AS view WHERE NOT v.now ? view)
       OR EXISTS (SELECT FROM jsonb_each(p.tables) AS t
                   WHERE to_regclass(format('%I.%I', t.value ->> 0, t.value ->> 1))::oid IS DISTINCT FROM (t.value ->> 2)::oid)
       OR EXISTS (SELECT FROM jsonb_each(p.functions) AS f
                   WHERE to_regprocedure(f.key)::oid IS DISTINCT FROM (f.value ->> 2)::oid) AS stale,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(c.relname, a.attname, d.description)), '[]')
          FROM pg_namespace AS n
          JOIN pg_class AS c ON c.relnamespace = n.oid
          JOIN pg_description AS d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid
          LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
         WHERE n.nspname = p.profile) AS comments
  FROM rolevend.profile AS p
 CROSS JOIN LATERAL (SELECT rolevend.views(p.profile) AS now OFFSET 0) AS v   -- once, not once for each view
 WHERE p.profile = %(profile)s
