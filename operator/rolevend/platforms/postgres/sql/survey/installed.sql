-- The installation that is there. Before version 14 it had none of the last three columns, and in version 14 it may lack the last.
SELECT v.version, v.vendor::text AS vendor, v.programmer::text AS programmer,
       coalesce(to_jsonb(v) ->> 'reach', 'server') AS reach,
       ARRAY(SELECT jsonb_array_elements_text(coalesce(to_jsonb(v) -> 'logins_before', '[]'))) AS logins_before,
       to_jsonb(v) ->> 'observer' AS observer
  FROM rolevend.version AS v
