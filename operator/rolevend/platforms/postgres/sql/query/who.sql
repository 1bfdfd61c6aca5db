-- The lease or the tombstone of one role. Its record, if it has one, is read without naming columns that an older installation lacks.
SELECT l.cluster_id, l.uid, l.agent, l.issuer, l.subject, l.profile::text, l.issued_at, l.expires_at, l.revoked_at, l.reason, l.dropped_at,
       to_jsonb(l) ->> 'record_name', to_jsonb(l) ->> 'record'
  FROM rolevend.lease AS l
 WHERE l.role = %(role)s
