-- Sessions of vended roles that were dropped or renamed by hand: a session outlives its role.
SELECT DISTINCT a.pid, l.role::text
  FROM pg_stat_activity AS a JOIN rolevend.lease AS l ON l.role_oid = a.usesysid
 ORDER BY 1, 2
