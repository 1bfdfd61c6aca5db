-- The records of one cluster, with the columns that `records` rebuilds a lease from. An expiry that no datetime has is cut, so that it is
-- read, and still differs from the sealed one.
SELECT l.role::text, l.uid, coalesce(l.profile, l.record_profile)::text AS profile, l.agent, l.issuer, l.subject, l.attrs,
       least(greatest(l.expires_at, '1900-01-01 00:00Z'), '9990-01-01 00:00Z') AS expires_at, l.limits, l.resources,
       l.record_name, l.record, l.call, l.seal, l.token, l.token_until,
       l.issued_at, l.confirmed_at IS NOT NULL AS confirmed, l.changed::text AS version, l.revoked_at, l.reason, l.ended_by, l.ended_message,
       l.dropped_at, cardinality(l.ended_pids) AS sessions
  FROM rolevend.lease AS l
 WHERE l.record IS NOT NULL AND l.cluster_id = %(cluster)s
