-- The labels of each enum that has few, by the name of the type as the catalog has it. Who creates a type chooses their number.
SELECT format_type(e.enumtypid, -1), array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
  FROM pg_enum AS e
 GROUP BY e.enumtypid
HAVING count(*) <= %(most)s
