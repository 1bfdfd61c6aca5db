-- Profiles of one cluster that no live lease uses, that nobody wants to keep, and that were not used since.
SELECT p.profile::text
  FROM rolevend.profile AS p
 WHERE p.cluster_id = %(cluster)s AND p.profile <> ALL (%(keep)s::name[]) AND p.created_at < %(since)s
   AND NOT EXISTS (SELECT FROM rolevend.lease AS l
                    WHERE l.profile = p.profile AND (l.revoked_at IS NULL OR l.issued_at >= %(since)s))
 ORDER BY 1
