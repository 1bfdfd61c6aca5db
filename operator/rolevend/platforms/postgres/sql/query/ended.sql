-- The roles of one cluster that are gone and ended for one reason, as far as they are remembered.
SELECT l.role::text, l.uid, l.revoked_at, l.dropped_at
  FROM rolevend.lease AS l
 WHERE l.cluster_id = %(cluster)s AND l.reason = %(reason)s AND l.dropped_at IS NOT NULL
 ORDER BY l.dropped_at
