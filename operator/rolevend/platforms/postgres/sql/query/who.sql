-- The lease or the tombstone of one role.
SELECT l.cluster_id, l.uid, l.agent, l.issuer, l.subject, l.profile::text, l.issued_at, l.expires_at, l.revoked_at, l.reason, l.dropped_at
  FROM rolevend.lease AS l
 WHERE l.role = %(role)s
