-- One profile as it is built: the digest of its SQL, whether a view in it was made or changed by hand, and whether it must be
-- built again because an earlier version built it, a view is gone, or a table or a function was replaced by another one of the same name.
SELECT p.digest, p.drift,
       EXISTS (SELECT FROM jsonb_each(v.now) AS n WHERE p.views -> n.key IS DISTINCT FROM n.value) AS altered,
       p.form < 2
       OR EXISTS (SELECT FROM jsonb_object_keys(p.views) AS view WHERE NOT v.now ? view)
       OR EXISTS (SELECT FROM jsonb_each(p.tables) AS t
                   WHERE to_regclass(format('%I.%I', t.value ->> 0, t.value ->> 1))::oid IS DISTINCT FROM (t.value ->> 2)::oid)
       OR EXISTS (SELECT FROM jsonb_each(p.functions) AS f
                   WHERE to_regprocedure(f.key)::oid IS DISTINCT FROM (f.value ->> 2)::oid) AS stale
  FROM rolevend.profile AS p
 CROSS JOIN LATERAL (SELECT rolevend.views(p.profile) AS now OFFSET 0) AS v   -- once, not once for each view
 WHERE p.profile = %(profile)s
