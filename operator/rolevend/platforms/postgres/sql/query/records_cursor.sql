-- The snapshot of this statement, and whether the cursor was made by it or before it: one of another server, or of a time that was restored
-- from a backup, may be ahead.
SELECT pg_current_snapshot()::text AS cursor,
       pg_snapshot_xmax(pg_current_snapshot()) >= pg_snapshot_xmax(%(since)s::pg_snapshot) AS is_known
