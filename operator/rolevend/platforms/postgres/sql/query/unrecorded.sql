-- The live roles of one cluster that have no record. A time that no datetime has is cut.
SELECT l.role::text, l.uid, least(greatest(l.expires_at, '1900-01-01 00:00Z'), '9990-01-01 00:00Z') AS expires_at
  FROM rolevend.lease AS l
 WHERE l.record IS NULL AND l.revoked_at IS NULL AND l.cluster_id = %(cluster)s
