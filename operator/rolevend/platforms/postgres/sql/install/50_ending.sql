-- Ending a vended role, in two steps that are committed one by one: close, then finish until it says "dropped".
-- As one transaction a drop that fails would roll the closing back, and a login meanwhile would survive.
-- enable_seqscan is off because a plan is kept: one that was made while there were few roles would go through all of them for each
-- that ends, however many there are by then.

SET LOCAL ROLE rv_owner;

-- A vended role is a member of its profile and so of rv_connect, and may change default privileges in their names: these would stay
-- when it is gone. Nobody else has a reason to. They belong to nothing but objects that are made later, and none of these roles makes any.
CREATE OR REPLACE FUNCTION rolevend.clear_defaults(p_roles name[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    d record;
    g record;
    acts boolean;
BEGIN
    FOR d IN
        SELECT r.rolname AS owner, a.defaclacl AS acl, n.nspname IS NULL AS is_everywhere, x.kind, x.public,
               format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s', r.rolname, 'IN SCHEMA ' || quote_ident(n.nspname)) AS change
          FROM pg_default_acl AS a
          JOIN pg_roles AS r ON r.oid = a.defaclrole
          LEFT JOIN pg_namespace AS n ON n.oid = a.defaclnamespace
          -- What everybody has of an object of this kind where nobody changed that.
          JOIN (VALUES ('r', 'TABLES', NULL), ('S', 'SEQUENCES', NULL), ('f', 'FUNCTIONS', 'EXECUTE'), ('T', 'TYPES', 'USAGE'),
                       ('n', 'SCHEMAS', NULL), ('L', 'LARGE OBJECTS', NULL)) AS x (type, kind, public) ON x.type = a.defaclobjtype::text
         WHERE r.rolname = ANY (p_roles)
    LOOP
        acts := NOT pg_has_role(d.owner, 'USAGE');  -- without a superuser, for as long as it takes
        IF acts THEN
            PERFORM rolevend.act_for(d.owner);
        END IF;
        FOR g IN SELECT DISTINCT CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE e.grantee::regrole::text END AS name FROM aclexplode(d.acl) AS e LOOP
            EXECUTE format('%s REVOKE ALL ON %s FROM %s', d.change, d.kind, g.name);
        END LOOP;
        IF d.is_everywhere THEN
            EXECUTE format('%s GRANT ALL ON %s TO %I', d.change, d.kind, d.owner);
            IF d.public IS NOT NULL THEN
                EXECUTE format('%s GRANT %s ON %s TO PUBLIC', d.change, d.public, d.kind);
            END IF;
        END IF;
        IF acts THEN
            EXECUTE format('REVOKE %I FROM CURRENT_USER', d.owner);
        END IF;
    END LOOP;
END
$$;

-- For people: which session holds a lock that the end of this role needs, on a catalog or on the role itself. Empty where none does.
-- Nothing of pg_stat_activity and pg_roles, which would wait for the lock in question.
CREATE OR REPLACE FUNCTION rolevend.in_the_way(p_role_oid oid) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(string_agg(DISTINCT format('%s is locked by session %s',
               CASE l.locktype WHEN 'relation' THEN l.relation::regclass::text ELSE 'the role' END, l.pid), '; '), '')
      FROM pg_locks AS l
     WHERE l.granted AND l.pid <> pg_backend_pid()
       AND (l.locktype = 'relation' AND l.relation < 16384 AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')
            OR l.locktype = 'object' AND l.classid = 'pg_authid'::regclass AND l.objid = p_role_oid)
$$;

-- Ends the sessions of other vended roles that have this role locked.
CREATE OR REPLACE FUNCTION rolevend.end_holders(p_role_oid oid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM rolevend.end_vended(ARRAY(
        SELECT l.pid FROM pg_locks AS l
         WHERE l.granted AND l.locktype = 'object' AND l.classid = 'pg_authid'::regclass AND l.objid = p_role_oid));
EXCEPTION WHEN lock_not_available THEN
    NULL;   -- somebody has the list of roles locked, who is named
END
$$;

-- The first half of rolevend.close, which says what it promises: writes the tombstone, and lets the role log in no more.
CREATE OR REPLACE FUNCTION rolevend.mark_closed(p_role text, p_cluster text, p_uid text, p_reason text) RETURNS oid
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    l rolevend.lease;
    r record;
BEGIN
    IF (p_role ~ '^IMMUTA_VENDED_[A-Za-z0-9_]+$' AND octet_length(p_role) <= 63) IS NOT TRUE THEN
        RAISE EXCEPTION 'not the name of a vended role' USING ERRCODE = '22023';
    END IF;

    -- Waits for a vend that is under way.
    INSERT INTO rolevend.lease AS t (role, cluster_id, uid, revoked_at, reason)
    VALUES (p_role, p_cluster, p_uid, clock_timestamp(), p_reason)
    ON CONFLICT (role) DO UPDATE
        SET revoked_at = coalesce(t.revoked_at, excluded.revoked_at),
            reason = CASE WHEN excluded.reason = 'Orphaned' AND t.dropped_at IS NULL THEN excluded.reason
                          ELSE coalesce(t.reason, excluded.reason) END,
            changed = CASE WHEN t.record IS NOT NULL
                            AND (t.revoked_at IS NULL OR t.reason IS NULL
                                 OR excluded.reason = 'Orphaned' AND t.reason <> 'Orphaned' AND t.dropped_at IS NULL)
                           THEN pg_current_xact_id() ELSE t.changed END
    RETURNING * INTO l;
    IF (l.cluster_id, l.uid) IS DISTINCT FROM (p_cluster, p_uid) THEN
        RAISE EXCEPTION '% belongs to another vend', p_role USING ERRCODE = 'RV002';
    END IF;

    BEGIN
        SELECT oid, rolcanlogin INTO r FROM pg_roles WHERE rolname = p_role;
        IF l.role_oid IS NULL AND r.oid IS NOT NULL THEN
            UPDATE rolevend.lease SET role_oid = r.oid WHERE role = p_role;
        END IF;
        IF r.rolcanlogin AND r.oid = coalesce(l.role_oid, r.oid) THEN
            EXECUTE format('ALTER ROLE %I NOLOGIN', p_role);
        END IF;
        RETURN r.oid;
    EXCEPTION WHEN lock_not_available THEN
        RETURN l.role_oid;
    END;
END
$$;

-- Takes their profiles from closed roles. Rights are looked up in the newest catalog, so this ends reading also in a transaction whose
-- snapshot is older than the closing and in which the lease still lives. One REVOKE for all of one profile: each goes through all members.
CREATE OR REPLACE FUNCTION rolevend.take_profiles(p_roles text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken record;
BEGIN
    FOR taken IN
        SELECT l.profile, string_agg(quote_ident(l.role), ', ' ORDER BY l.role) AS roles
          FROM rolevend.lease AS l
          JOIN pg_roles AS r ON r.rolname = l.role AND r.oid = l.role_oid
          JOIN pg_roles AS p ON p.rolname = l.profile
          JOIN pg_auth_members AS m ON m.member = r.oid AND m.roleid = p.oid
         WHERE l.role = ANY (p_roles) AND l.revoked_at IS NOT NULL
         GROUP BY l.profile ORDER BY l.profile
    LOOP
        EXECUTE format('REVOKE %I FROM %s', taken.profile, taken.roles);
    END LOOP;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    NULL;   -- the tombstones and NOLOGIN stand; DROP ROLE takes the profile, too
END
$$;

-- Locks out: from its commit on the lease is a tombstone, every statement and every login of the role is refused, and so is a
-- vend of it that arrives later. Answers the role's oid, or NULL where it never was or is gone. Again is the same; the first reason
-- stays, unless the role is found to be nobody's before it is gone.
-- Where somebody has the role or a catalog locked it is the tombstone alone, which ends all reading but that of older snapshots:
-- rolevend.finish says who.
CREATE OR REPLACE FUNCTION rolevend.close(p_role text, p_cluster text, p_uid text, p_reason text) RETURNS oid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    closed oid := rolevend.mark_closed(p_role, p_cluster, p_uid, p_reason);
BEGIN
    PERFORM rolevend.take_profiles(ARRAY[p_role]);
    RETURN closed;
END
$$;

-- Of those who end together each waits for locks a part of three seconds: one that is blocked is tried again later, and must not
-- use up the time of the others.
CREATE OR REPLACE FUNCTION rolevend.share_patience(p_roles integer) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT set_config('lock_timeout', format('%sms', 3000 / p_roles), true) $$;

-- close() for up to 60 roles: [{"role", "cluster", "uid", "reason"}]. One that is refused fails alone, with its SQLSTATE.
CREATE OR REPLACE FUNCTION rolevend.close_many(p_endings jsonb) RETURNS TABLE (role text, failed text, message text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    e jsonb;
BEGIN
    IF (jsonb_array_length(p_endings) BETWEEN 1 AND 60) IS NOT TRUE THEN
        RAISE EXCEPTION 'between 1 and 60 endings a call' USING ERRCODE = '22023';
    END IF;
    PERFORM rolevend.share_patience(jsonb_array_length(p_endings));
    FOR e IN SELECT x FROM jsonb_array_elements(p_endings) AS x ORDER BY x ->> 'role' LOOP
        role := e ->> 'role';
        failed := NULL;
        message := NULL;
        BEGIN
            PERFORM rolevend.mark_closed(e ->> 'role', e ->> 'cluster', e ->> 'uid', e ->> 'reason');
        EXCEPTION WHEN OTHERS THEN
            failed := SQLSTATE;
            message := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
    PERFORM rolevend.take_profiles(ARRAY(SELECT x ->> 'role' FROM jsonb_array_elements(p_endings) AS x));
END
$$;

-- Asks every session of a closed role to end, and answers their process ids. By the role's oid: DROP ROLE succeeds while
-- sessions live on, and they must still be found afterwards; but never those of another role that has the number now.
-- Without a superuser, sessions of a role that is gone can be ended only by a member of pg_signal_backend: then they remain.
-- It is asked twice for each role. So not by pg_stat_activity, which writes out all that it tells of every session of the server;
-- and in a language that keeps its plan.
CREATE OR REPLACE FUNCTION rolevend.end_sessions(p_role text) RETURNS integer[]
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT coalesce(array_agg(a.pid) FILTER (
                   WHERE CASE WHEN pg_has_role(l.role_oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')
                              THEN pg_terminate_backend(a.pid) ELSE true END), '{}')
          FROM rolevend.lease AS l
               CROSS JOIN LATERAL (SELECT pg_stat_get_backend_pid(b) AS pid FROM pg_stat_get_backend_idset() AS b
                                    WHERE pg_stat_get_backend_userid(b) = l.role_oid) AS a
         WHERE l.role = p_role AND l.revoked_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.oid = l.role_oid AND r.rolname <> p_role));
END
$$;

-- Ends the sessions of a closed role and drops it. The state is "dropped", "sessions remain", or "blocked: " and why: call
-- again later. "ended" are the process ids of the sessions that were asked to end.
CREATE OR REPLACE FUNCTION rolevend.finish(p_role text, OUT state text, OUT ended integer[])
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    l rolevend.lease;
    o oid;
    now_ending integer[];
    detail text;
BEGIN
    ended := '{}';
    -- One at a time. In a block of its own: a failure below gives no lock back, and the caller records which sessions it ended.
    BEGIN
        SELECT * INTO l FROM rolevend.lease WHERE role = p_role FOR UPDATE;
    EXCEPTION WHEN OTHERS THEN
        state := format('blocked: %s %s', SQLSTATE, SQLERRM);
        RETURN;
    END;
    -- What fails in here is of this role alone; the sessions that were asked to end, end.
    BEGIN
        SELECT oid INTO o FROM pg_roles WHERE rolname = p_role;
        IF l.role IS NULL AND o IS NULL THEN
            state := 'dropped';
            RETURN;
        END IF;
        IF l.revoked_at IS NULL THEN
            RAISE EXCEPTION 'close % first', p_role USING ERRCODE = 'RV003';
        END IF;
        IF o = l.role_oid THEN
            PERFORM rolevend.act_for(p_role);
        END IF;

        -- pg_terminate_backend with a timeout would look only every 100 ms.
        FOR i IN 1..10 LOOP
            PERFORM pg_stat_clear_snapshot();
            now_ending := rolevend.end_sessions(p_role);
            ended := ARRAY(SELECT unnest(ended) UNION SELECT unnest(now_ending));
            EXIT WHEN now_ending = '{}';
            PERFORM pg_sleep(0.005);
        END LOOP;
        IF now_ending <> '{}' THEN
            state := 'sessions remain';
            RETURN;
        END IF;

        IF o <> l.role_oid THEN
            state := format('blocked: RV002 %s is not the role that was vended', p_role);
            RETURN;
        END IF;
        IF o IS NOT NULL THEN
            PERFORM rolevend.clear_defaults(ARRAY['rv_connect', l.profile]);
            -- First, always: default privileges and stray objects of the role would block DROP ROLE.
            EXECUTE format('DROP OWNED BY %I', p_role);
            EXECUTE format('DROP ROLE %I', p_role);
        END IF;
        UPDATE rolevend.lease SET dropped_at = clock_timestamp(), changed = CASE WHEN record IS NOT NULL THEN pg_current_xact_id() ELSE changed END
         WHERE role = p_role AND dropped_at IS NULL;
        state := 'dropped';
    EXCEPTION WHEN OTHERS THEN
        IF SQLSTATE = 'RV003' THEN
            RAISE;
        END IF;
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        IF SQLSTATE = '55P03' THEN
            detail := rolevend.in_the_way(l.role_oid);
            PERFORM rolevend.end_holders(l.role_oid);   -- for the next call, where no second session of ours looked: see rolevend.clear_way
        END IF;
        state := format('blocked: %s %s %s', SQLSTATE, SQLERRM, detail);
    END;
END
$$;

-- finish() for up to 60 closed roles: all their sessions are asked to end before the first one is waited for.
CREATE OR REPLACE FUNCTION rolevend.finish_many(p_roles text[]) RETURNS TABLE (role text, state text, ended integer[])
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    asked jsonb := '{}';
    locked boolean := false;
BEGIN
    IF (cardinality(p_roles) BETWEEN 1 AND 60) IS NOT TRUE THEN
        RAISE EXCEPTION 'between 1 and 60 roles a call' USING ERRCODE = '22023';
    END IF;
    PERFORM rolevend.share_patience(cardinality(p_roles));
    -- A session is asked to end only by the process that has its role's lease locked: another one that drops the role meanwhile would
    -- find no session, and its count would be too small.
    BEGIN
        PERFORM FROM rolevend.lease AS l JOIN unnest(p_roles) AS r ON l.role = r::name ORDER BY r FOR UPDATE OF l;
        locked := true;
    EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
        NULL;   -- then each tries for itself, and says what is in its way
    END;
    BEGIN
        PERFORM rolevend.act_for(closed.role)
           FROM (SELECT l.role FROM rolevend.lease AS l JOIN pg_roles AS r ON r.oid = l.role_oid AND r.rolname = l.role
                  WHERE l.role = ANY (p_roles) AND l.revoked_at IS NOT NULL ORDER BY l.role) AS closed;
    EXCEPTION WHEN OTHERS THEN
        NULL;   -- likewise
    END;
    IF locked THEN
        BEGIN
            FOR role IN SELECT r FROM unnest(p_roles) AS r ORDER BY r LOOP
                asked := asked || jsonb_build_object(role, rolevend.end_sessions(role));
            END LOOP;
        EXCEPTION WHEN lock_not_available THEN
            NULL;   -- likewise
        END;
    END IF;
    FOR role IN SELECT r FROM unnest(p_roles) AS r ORDER BY r LOOP
        SELECT f.state, f.ended INTO state, ended FROM rolevend.finish(role) AS f;
        ended := ARRAY(SELECT unnest(ended) UNION SELECT x::integer FROM jsonb_array_elements_text(asked -> role) AS x);
        IF ended <> '{}' THEN
            PERFORM rolevend.keep_ended(role, ended);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

-- Forgets tombstones after a day: a vend that comes even later has a past expiry. One with a record waits for the report of its end, for
-- a week at most.
CREATE OR REPLACE FUNCTION rolevend.forget() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM rolevend.lease AS l
     WHERE l.revoked_at < clock_timestamp() - interval '24 hours'
       AND (l.record IS NULL OR l.reported_at IS NOT NULL OR l.revoked_at < clock_timestamp() - interval '7 days')
       AND NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = l.role)
       AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.usesysid = l.role_oid)
$$;

-- Notes that a scheduler is at work; at most twice a minute, for a sweep may come every second.
CREATE OR REPLACE FUNCTION rolevend.note_sweep() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO rolevend.swept AS s (at) VALUES (clock_timestamp())
    ON CONFLICT (one) DO UPDATE SET at = excluded.at WHERE s.at < excluded.at - interval '30 seconds'
$$;

-- For pg_cron or any other scheduler: the operator may be down. Curbs what runs away, and ends what is over, of every cluster that
-- vends here, for any of their operators may be down; each role in transactions of its own. A role that is idle goes on until the operator is back, or until its expiry.
-- With the caller's rights, because a SECURITY DEFINER procedure may not COMMIT; those of the vendor's login are enough.
CREATE OR REPLACE PROCEDURE rolevend.sweep()
LANGUAGE plpgsql
AS $$
DECLARE
    l record;
    how text;
BEGIN
    PERFORM set_config('search_path', 'pg_catalog, pg_temp', false);
    PERFORM set_config('lock_timeout', '3s', false);    -- one that is blocked is tried again the next time, and holds up no other
    FOR l IN SELECT DISTINCT cluster_id FROM rolevend.lease WHERE dropped_at IS NULL LOOP
        PERFORM rolevend.curb(l.cluster_id);
        COMMIT;
    END LOOP;
    FOR l IN
        SELECT role, cluster_id, uid FROM rolevend.lease
         WHERE (revoked_at IS NOT NULL OR expires_at <= clock_timestamp())
           AND (dropped_at IS NULL OR role_oid IN (SELECT usesysid FROM pg_stat_activity))
         ORDER BY role
    LOOP
        BEGIN
            PERFORM rolevend.close(l.role, l.cluster_id, l.uid, 'Expired');
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'rolevend.sweep cannot close %: %', l.role, SQLERRM;
        END;
        COMMIT;
        BEGIN
            SELECT state INTO how FROM rolevend.finish_many(ARRAY[l.role::text]);
        EXCEPTION WHEN OTHERS THEN
            how := SQLERRM;
        END;
        IF how <> 'dropped' THEN
            RAISE WARNING 'rolevend.sweep cannot finish %: %', l.role, how;
        END IF;
        COMMIT;
    END LOOP;
    PERFORM rolevend.note_sweep();
    PERFORM rolevend.forget();
END
$$;

RESET ROLE;
