-- The records of one cluster, with the columns that `records` rebuilds a lease from. A time that no datetime has is cut, so that it is
-- read, and JSON is text: a row that somebody wrote by hand must not keep the other rows from being read. Its seal does not fit.
SELECT l.role::text, l.uid, coalesce(l.profile, l.record_profile)::text AS profile, l.agent, l.issuer, l.subject, l.attrs::text AS attrs,
       least(greatest(l.expires_at, '1900-01-01 00:00Z'), '9990-01-01 00:00Z') AS expires_at,
       l.limits::text AS limits, l.resources::text AS resources,
       l.record_name, l.record, l.call, l.seal, l.token,
       CASE WHEN l.token IS NOT NULL THEN least(greatest(l.token_until, '1900-01-01 00:00Z'), '9990-01-01 00:00Z') END AS token_until,
       least(greatest(l.issued_at, '1900-01-01 00:00Z'), '9990-01-01 00:00Z') AS issued_at,
       l.confirmed_at IS NOT NULL AS confirmed, l.changed::text AS version,
       CASE WHEN l.revoked_at IS NOT NULL THEN least(greatest(l.revoked_at, '1900-01-01 00:00Z'), '9990-01-01 00:00Z') END AS revoked_at,
       l.reason, l.ended_by, l.ended_message,
       CASE WHEN l.dropped_at IS NOT NULL THEN least(greatest(l.dropped_at, '1900-01-01 00:00Z'), '9990-01-01 00:00Z') END AS dropped_at,
       cardinality(l.ended_pids) AS sessions, l.reported_at IS NOT NULL AS reported
  FROM rolevend.lease AS l
 WHERE l.record IS NOT NULL AND l.cluster_id = %(cluster)s
