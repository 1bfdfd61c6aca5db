-- What agents do now, for people who may see it. They ask through a login that can do nothing else: see 82_observer.observer.sql.

SET LOCAL ROLE rv_owner;

-- The sessions of these vended roles, and of nobody else. What runs longest comes first. The caller names the roles: sessions of others, also of
-- those of another cluster that vends here, neither leave this database nor hide one behind the limit.
-- statement: the first p_characters of what runs, or of the last statement of an open transaction; NULL for a session that is idle.
-- kept: the bytes that the server keeps of each statement, if it keeps a part of this one.
-- It changes nothing, so that who may only read can call it. So it takes on no rights, either: without a superuser a session is not shown
-- until rolevend.curb() has looked at it, which the operator calls every few seconds.
CREATE OR REPLACE FUNCTION rolevend.running(p_roles text[], p_characters integer)
RETURNS TABLE (role text, uid text, pid integer, state text, seconds bigint, waits_for text, statement text, kept integer, shown boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    kept_bytes CONSTANT integer := pg_size_bytes(current_setting('track_activity_query_size'));
BEGIN
    IF (p_characters BETWEEN 0 AND 4000 AND cardinality(p_roles) <= 20000) IS NOT TRUE THEN
        RAISE EXCEPTION 'name at most 20000 roles, and at most 4000 characters of each statement' USING ERRCODE = '22023';
    END IF;
    RETURN QUERY
    SELECT l.role::text, l.uid, a.pid, a.state,
           floor(extract(epoch FROM clock_timestamp() - CASE WHEN a.state = 'idle' THEN a.state_change ELSE a.query_start END))::bigint,
           CASE WHEN a.state = 'active' THEN a.wait_event_type || ': ' || a.wait_event END,
           CASE WHEN a.state <> 'idle' AND p_characters > 0 THEN left(a.query, p_characters) END,
           -- A character of several bytes is not cut, so a few bytes may be missing.
           CASE WHEN a.state <> 'idle' AND p_characters > 0 AND octet_length(a.query) >= kept_bytes - 4 THEN kept_bytes END,
           pg_has_role(a.usesysid, 'USAGE')
      FROM pg_stat_activity AS a
      JOIN rolevend.lease AS l ON l.role = a.usename AND l.role_oid = a.usesysid
     WHERE l.role = ANY (p_roles::name[]) AND coalesce(a.backend_type, 'client backend') = 'client backend'
     ORDER BY a.state IS NOT DISTINCT FROM 'active' DESC, 5 DESC NULLS LAST, 1, 3
     LIMIT 1000;
END
$$;

RESET ROLE;
