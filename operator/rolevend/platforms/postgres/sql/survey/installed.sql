-- The installation that is there. Before version 14 it had neither of the last two columns.
SELECT v.version, v.vendor::text AS vendor, v.programmer::text AS programmer,
       coalesce(to_jsonb(v) ->> 'reach', 'server') AS reach,
       ARRAY(SELECT jsonb_array_elements_text(coalesce(to_jsonb(v) -> 'logins_before', '[]'))) AS logins_before
  FROM rolevend.version AS v
