-- A vended role can lock what the end of another role needs, or what a build needs: an open transaction is enough. Its sessions are
-- ended then; those of anybody else are only named.

SET LOCAL ROLE rv_owner;

-- Takes on the rights of a role that was made here: pg_terminate_backend and DROP OWNED ask for them. A superuser has them already.
-- With the caller's rights, and called by functions of rv_owner only, which made the role. It waits for whoever has the role locked,
-- so it comes after the closing.
CREATE OR REPLACE FUNCTION rolevend.act_for(p_role name) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT (SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = p_role) THEN
        EXECUTE format('GRANT %I TO CURRENT_USER WITH INHERIT TRUE, SET FALSE', p_role);
    END IF;
END
$$;

-- Whose these sessions are. Those of vended roles, of every cluster that vends here, are asked to end: "ended" is true of them.
-- A vended role is one that a lease gives this number and this name, whatever else may be named like it.
CREATE OR REPLACE FUNCTION rolevend.end_vended(p_pids integer[])
RETURNS TABLE (pid integer, role text, cluster text, uid text, ended boolean)
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '200ms' SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    s record;
BEGIN
    PERFORM pg_stat_clear_snapshot();
    FOR s IN
        SELECT a.pid, r.rolname, l.cluster_id, l.uid, l.role IS NOT NULL AS is_vended
          FROM (SELECT pg_stat_get_backend_pid(b) AS pid, pg_stat_get_backend_userid(b) AS role_oid
                  FROM pg_stat_get_backend_idset() AS b) AS a
          LEFT JOIN pg_roles AS r ON r.oid = a.role_oid
          LEFT JOIN rolevend.lease AS l ON l.role = r.rolname AND l.role_oid = r.oid
         WHERE a.pid = ANY (p_pids) AND a.pid <> pg_backend_pid()
    LOOP
        pid := s.pid;
        role := s.rolname;
        cluster := s.cluster_id;
        uid := s.uid;
        ended := false;
        IF s.is_vended THEN
            BEGIN
                PERFORM rolevend.act_for(s.rolname);
                ended := pg_terminate_backend(s.pid);
            EXCEPTION WHEN OTHERS THEN
                NULL;   -- its role is locked, or just gone: it is tried again
            END;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Which sessions this session of one of our two logins waits for; those of vended roles among them are asked to end. It is called from
-- another session while the first one waits: what comes to lock the same then stands behind it.
CREATE OR REPLACE FUNCTION rolevend.clear_way(p_waiting integer)
RETURNS TABLE (pid integer, role text, cluster text, uid text, ended boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT e.pid, e.role, e.cluster, e.uid, e.ended
      FROM rolevend.version AS v
     CROSS JOIN LATERAL rolevend.end_vended(pg_blocking_pids(p_waiting)) AS e
     WHERE EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = p_waiting AND a.usename IN (v.vendor, v.programmer))
$$;

RESET ROLE;
