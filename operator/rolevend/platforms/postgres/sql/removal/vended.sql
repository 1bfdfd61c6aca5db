-- Vended roles that exist, and the leases of those that have one.
SELECT r.rolname::text
  FROM pg_roles AS r WHERE r.rolname LIKE 'IMMUTA\_VENDED\_%' ORDER BY 1
