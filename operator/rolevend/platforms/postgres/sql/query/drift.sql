-- What was changed by hand, what becomes of it, and the live roles that it touches, also those that rv_guard has locked out
-- already. What is gone opens nothing: once no role reads from there any more it needs nobody, and the profile is built anew when
-- it is next needed. Profiles are of one cluster, and so is who has them.
WITH touched AS (
    SELECT d.*, ARRAY(SELECT l.role::text FROM rolevend.lease AS l
                       WHERE l.profile = ANY (d.profiles) AND l.dropped_at IS NULL
                         AND (l.revoked_at IS NOT NULL OR l.expires_at > clock_timestamp())
                       ORDER BY 1) AS roles
      FROM rolevend.drift(%(cluster)s) AS d
)
SELECT schema_name, table_name, finding,
       CASE WHEN replaced IS NULL THEN 'or consent to it: plan and install again'
            WHEN replaced THEN 'the roles that read it end, and it is made anew when it is next needed'
            ELSE format('put it right, or look at it and have it made anew with: SELECT rolevend.accept(%L)', format('%I.%I', schema_name, table_name))
       END,
       roles, profiles::text[]
  FROM touched
 WHERE replaced IS NOT TRUE OR roles <> '{}'
