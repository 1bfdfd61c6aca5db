-- Of these templates: whether the role is there, whether it must be made anew, and what is wrong that nobody accepted yet.
WITH f AS MATERIALIZED (SELECT template, replaced, finding FROM rolevend.findings(%(templates)s::name[]))
SELECT w.template::text,
       EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = w.template) AS role_exists,
       t.template IS NULL OR t.rebuild OR coalesce(bool_or(f.replaced), false) AS anew,
       coalesce(string_agg(f.finding, ', ' ORDER BY f.finding) FILTER (WHERE NOT f.replaced AND NOT t.rebuild), '') AS finding
  FROM unnest(%(templates)s::name[]) AS w (template)
  LEFT JOIN rolevend.template AS t ON t.template = w.template
  LEFT JOIN f ON f.template = w.template
 GROUP BY w.template, t.template, t.rebuild
