-- The labels of each enum, by the name of the type as the catalog has it.
SELECT format_type(e.enumtypid, -1), array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
  FROM pg_enum AS e
 GROUP BY e.enumtypid
