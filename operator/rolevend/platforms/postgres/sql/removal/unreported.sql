-- Ends of recorded roles that are not in the audit trail yet.
SELECT l.role::text FROM rolevend.lease AS l WHERE to_jsonb(l) ->> 'record' IS NOT NULL AND to_jsonb(l) ->> 'reported_at' IS NULL ORDER BY 1
