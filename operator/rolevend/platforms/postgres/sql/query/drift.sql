-- What was changed by hand, how a person mends it, and the live roles that it touches.
SELECT d.schema_name, d.table_name, d.finding,
       format('put it right, or look at it and have it made anew with: SELECT rolevend.accept(%L)',
              format('%I.%I', d.schema_name, d.table_name)),
       ARRAY(SELECT l.role::text FROM rolevend.lease AS l
              WHERE l.cluster_id = %(cluster)s AND l.profile = ANY (d.profiles) AND l.revoked_at IS NULL AND l.expires_at > clock_timestamp()
              ORDER BY 1),
       d.profiles::text[]
  FROM rolevend.drift(%(cluster)s) AS d
