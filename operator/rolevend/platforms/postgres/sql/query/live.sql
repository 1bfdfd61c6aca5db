-- Every role of one cluster that still exists or still has a session.
SELECT l.role::text, l.uid, l.expires_at, l.revoked_at IS NOT NULL
  FROM rolevend.lease AS l
 WHERE l.cluster_id = %(cluster)s
   AND (EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = l.role)
        OR l.role_oid IN (SELECT a.usesysid FROM pg_stat_activity AS a))
 ORDER BY l.role
