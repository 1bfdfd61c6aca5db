-- Holds vended roles to their limits and their time from outside of their sessions: an agent may set statement_timeout for itself, and a
-- statement asks for its lease only when it begins.

SET LOCAL ROLE rv_owner;

-- Looks at the sessions of one cluster's roles, by this server's clock, and ends old ones of the console's login. What it finds, and the act that follows:
--   Cancelled   a transaction (a statement outside of one counts as one) is too old: the statement was cancelled
--   Terminated  five seconds later it was still there, or nothing runs in it, or it waits for too long: the session was ended
--   Terminated  likewise where the queue of NOTIFY fills and a transaction is open for a second: messages stay for who listens and is in one,
--               and nobody is told who listens
--   Expired     the lease is over, and no drop has closed it yet: the session was ended, the role is left to its drop
--   Idle        no session of the role did anything for idle_seconds; nothing was done: the caller ends the role
CREATE OR REPLACE FUNCTION rolevend.curb(p_cluster text)
RETURNS TABLE (role text, uid text, act text, why text)
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '200ms' SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    r name;
BEGIN
    PERFORM pg_stat_clear_snapshot();
    -- Without a superuser, what a session does is shown to those alone who have the rights of its role. They show rv_owner, and who
    -- has its rights, no row: views and policies ask for the lease of the login itself.
    FOR r IN
        SELECT DISTINCT l.role FROM pg_stat_activity AS a JOIN rolevend.lease AS l ON l.role = a.usename AND l.role_oid = a.usesysid
         WHERE l.cluster_id = p_cluster AND l.revoked_at IS NULL AND NOT pg_has_role(a.usesysid, 'USAGE') ORDER BY 1
    LOOP
        BEGIN
            PERFORM rolevend.act_for(r);
        EXCEPTION WHEN OTHERS THEN
            NULL;   -- it is locked, or just gone: the next look finds it
        END;
    END LOOP;

    RETURN QUERY
    WITH sessions AS (
        SELECT l.role::text, l.uid, a.pid, a.state NOT LIKE 'idle%' AS runs,
               extract(epoch FROM clock_timestamp() - least(a.xact_start, CASE WHEN a.state NOT LIKE 'idle%' THEN a.query_start END)) AS age,
               (l.limits ->> 'transaction_seconds')::integer AS oldest,
               CASE WHEN a.state LIKE 'idle in transaction%' THEN extract(epoch FROM clock_timestamp() - a.state_change) END AS waits,
               (l.limits ->> 'idle_transaction_seconds')::integer AS longest,
               a.xact_start < clock_timestamp() - interval '1 second' AND q.share > 0.01 AS holds_messages,
               format('a transaction of %s s while the queue of NOTIFY is filled to %s %%',
                      round(extract(epoch FROM clock_timestamp() - a.xact_start)), round((100 * q.share)::numeric, 1)) AS why_it_holds,
               -- In a crowd a drop waits for its turn. One that need not wait comes within the second, and tells how many sessions it ended.
               extract(epoch FROM clock_timestamp() - l.expires_at) AS over
          FROM pg_stat_activity AS a
          JOIN rolevend.lease AS l ON l.role = a.usename AND l.role_oid = a.usesysid
         CROSS JOIN (SELECT pg_notification_queue_usage() AS share OFFSET 0) AS q
         WHERE a.backend_type = 'client backend' AND l.cluster_id = p_cluster AND l.revoked_at IS NULL AND pg_has_role(a.usesysid, 'USAGE')
    ), excesses AS MATERIALIZED (
        SELECT s.role, s.uid, s.pid,
               CASE WHEN s.over > 1 THEN 'Expired' WHEN s.holds_messages THEN 'Terminated' WHEN s.runs AND s.age <= s.oldest + 5 THEN 'Cancelled' ELSE 'Terminated' END AS act,
               CASE WHEN s.over > 1 THEN format('a session %s s after the end of the lease', round(s.over))
                    WHEN s.holds_messages THEN s.why_it_holds
                    WHEN s.age > s.oldest THEN format('a transaction of %s s, where %s are allowed', round(s.age), s.oldest)
                    ELSE format('idle in a transaction for %s s, where %s are allowed', round(s.waits), s.longest) END AS why
          FROM sessions AS s
         WHERE s.over > 1 OR s.holds_messages OR s.age > s.oldest OR s.waits > s.longest
    )
    SELECT e.role, e.uid, e.act, e.why
      FROM excesses AS e
     WHERE CASE e.act WHEN 'Cancelled' THEN pg_cancel_backend(e.pid) ELSE pg_terminate_backend(e.pid) END;

    -- Time in which nobody looked does not count as idle. Nothing here waits for a lease that somebody else is ending.
    UPDATE rolevend.lease AS l SET active_at = clock_timestamp()
      FROM (SELECT i.role FROM rolevend.lease AS i
             WHERE i.cluster_id = p_cluster AND i.revoked_at IS NULL AND i.limits ? 'idle_seconds'
               AND NOT EXISTS (SELECT FROM rolevend.looked WHERE cluster_id = p_cluster AND at > clock_timestamp() - interval '1 minute')
               FOR UPDATE SKIP LOCKED) AS unseen
     WHERE l.role = unseen.role;

    UPDATE rolevend.lease AS l SET active_at = seen.at
      FROM (SELECT i.role, a.at
              FROM rolevend.lease AS i
              JOIN (SELECT usename, usesysid,
                           max(CASE WHEN state LIKE 'idle%' THEN state_change ELSE clock_timestamp() END) AS at
                      FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1, 2) AS a
                ON a.usename = i.role AND a.usesysid = i.role_oid
             WHERE i.cluster_id = p_cluster AND i.revoked_at IS NULL AND i.limits ? 'idle_seconds'
               AND i.active_at < a.at - interval '1 second'
               FOR UPDATE OF i SKIP LOCKED) AS seen
     WHERE l.role = seen.role;

    RETURN QUERY
    SELECT l.role::text, l.uid, 'Idle', format('no session did anything for %s s', l.limits ->> 'idle_seconds')
      FROM rolevend.lease AS l
     WHERE l.cluster_id = p_cluster AND l.revoked_at IS NULL AND l.limits ? 'idle_seconds'
       AND l.active_at < clock_timestamp() - make_interval(secs => (l.limits ->> 'idle_seconds')::integer);

    -- The console's login asks one question in a session. One that lasts holds back VACUUM, and one of ten connections.
    PERFORM pg_terminate_backend(a.pid)
       FROM pg_stat_activity AS a JOIN rolevend.version AS v ON v.observer = a.usename
      WHERE a.backend_start < clock_timestamp() - interval '20 seconds' AND pg_has_role(a.usesysid, 'USAGE');

    INSERT INTO rolevend.looked AS w (cluster_id, at) VALUES (p_cluster, clock_timestamp())
    ON CONFLICT (cluster_id) DO UPDATE SET at = excluded.at WHERE w.at < excluded.at - interval '10 seconds';
END
$$;

RESET ROLE;
