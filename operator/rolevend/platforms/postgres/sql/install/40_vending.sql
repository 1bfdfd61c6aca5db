-- Making a vended role. Our SQLSTATEs: RV001 closed (revoked or expired), RV002 the name belongs to another vend,
-- RV003 not closed yet, RV004 what keeps rows apart was changed by hand, RV005 another role used the token, RV006 the agent has its maximum
-- of live roles. Arguments that cannot be: 22023.

SET LOCAL ROLE rv_owner;

-- Of an earlier version.
DROP FUNCTION IF EXISTS rolevend.vend(text, text, text, text, text, timestamptz, text, text, text, jsonb);
DROP FUNCTION IF EXISTS rolevend.vend(text, text, text, text, text, timestamptz, text, text, text, jsonb, jsonb);
DROP FUNCTION IF EXISTS rolevend.vend(text, text, text, text, text, timestamptz, text, text, text, jsonb, jsonb, jsonb);

-- One role: a login with a password that is already hashed, a member of one profile that was built, and a lease.
-- Again with the same uid it is the same role with the new password, the old expiry and the old limits. Answers when the role
-- expires. p_limits may hold: connections, temp_file_kb (of each session), transaction_seconds, idle_transaction_seconds, and
-- idle_seconds, after which the role counts as given back. The two times of a transaction are also settings of the role, so that
-- an honest agent is told by its own session; whoever sets them anew is stopped by rolevend.curb(). An application_name is no limit, but names
-- the role's task to whoever may read the lease. It is no setting of the role, nor of its sessions: every role of the server can read both.
-- p_resources narrows the role to
-- these tables of the profile, {schema: [table, ...]}, see rolevend.reads().
-- p_record is the record of a role without an object in Kubernetes, see rolevend.expect_record(): it is kept with the lease. Its token is
-- taken for this uid alone, and most_live bounds the agent's roles with a record that are not dropped. Again with another call is refused.
-- Locks are taken in this order, here and in vend_many: the token, the agent's row of rolevend.counted, the lease, the profile.
-- enable_seqscan is off as in 50_ending.sql: a plan that is kept must do for any number of roles.
CREATE OR REPLACE FUNCTION rolevend.vend(
    p_role text, p_cluster text, p_uid text, p_profile text, p_verifier text, p_expires_at timestamptz,
    p_agent text, p_issuer text, p_subject text, p_attrs jsonb, p_limits jsonb DEFAULT '{}', p_resources jsonb DEFAULT NULL,
    p_record jsonb DEFAULT NULL
) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    l rolevend.lease;
    closed_why text;
    whose text;
    made oid;
    is_new boolean;
    most integer;
    living bigint;
BEGIN
    -- Every test ends in IS NOT TRUE, so that a NULL is refused too.
    IF (p_role ~ '^IMMUTA_VENDED_[A-Za-z0-9_]+$' AND octet_length(p_role) <= 63) IS NOT TRUE THEN
        RAISE EXCEPTION 'not the name of a vended role' USING ERRCODE = '22023';
    END IF;
    IF (p_expires_at > clock_timestamp() AND p_expires_at <= clock_timestamp() + interval '24 hours') IS NOT TRUE THEN
        RAISE EXCEPTION 'the expiry is past or more than 24 hours away' USING ERRCODE = '22023';
    END IF;
    -- Exactly what the server takes for a verifier: it would hash anything else as a plaintext password. The server works
    -- through the iterations once to see that the password is not the empty one, so they have an upper bound.
    IF (p_verifier ~ ('^SCRAM-SHA-256\$([1-9][0-9]{0,4}|100000):[A-Za-z0-9+/]{21}[AQgw]==\$'
                      '[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$')) IS NOT TRUE THEN
        RAISE EXCEPTION 'not a SCRAM-SHA-256 verifier with 1 to 100000 iterations' USING ERRCODE = '22023';
    END IF;
    IF (jsonb_typeof(p_attrs) = 'object'
        AND NOT EXISTS (SELECT FROM jsonb_each(p_attrs) AS a WHERE jsonb_typeof(a.value) <> 'array')) IS NOT TRUE THEN
        RAISE EXCEPTION 'the attributes are not an object of lists' USING ERRCODE = '22023';
    END IF;

    IF (jsonb_typeof(p_limits) = 'object'
        AND coalesce(p_limits ->> 'application_name', '-') ~ '^[A-Za-z0-9._:-]{1,63}$'
        AND NOT EXISTS (SELECT FROM jsonb_each(p_limits - 'application_name') AS x
                         WHERE x.value::text !~ '^[1-9][0-9]{0,8}$'
                            OR x.key <> ALL ('{connections,temp_file_kb,transaction_seconds,idle_transaction_seconds,idle_seconds}'))
        ) IS NOT TRUE THEN
        RAISE EXCEPTION 'the limits are not an object of whole numbers that we know' USING ERRCODE = '22023';
    END IF;

    -- JSON's null would be neither "all of them" nor a list.
    IF p_resources IS NOT NULL AND (jsonb_typeof(p_resources) = 'object'
        AND NOT EXISTS (SELECT FROM jsonb_each(p_resources) AS r WHERE jsonb_typeof(r.value) <> 'array')) IS NOT TRUE THEN
        RAISE EXCEPTION 'the resources are not an object of lists' USING ERRCODE = '22023';
    END IF;

    SELECT cluster_id, CASE WHEN form < 2 THEN 'an earlier version built it, and its views leak hidden rows' ELSE drift END
      INTO whose, closed_why FROM rolevend.profile WHERE profile = p_profile;
    IF whose <> p_cluster THEN
        RAISE EXCEPTION 'profile % is another cluster''s', p_profile USING ERRCODE = 'RV002';
    END IF;
    IF closed_why IS NOT NULL THEN
        RAISE EXCEPTION 'profile % is closed: %', p_profile, closed_why USING ERRCODE = 'RV004';
    END IF;

    -- The lease comes first of what makes the role: the same vend elsewhere, or a close, waits here. The foreign key is the list of what
    -- may be vended.
    IF p_record IS NULL THEN
        INSERT INTO rolevend.lease (role, cluster_id, uid, profile, agent, issuer, subject, attrs, expires_at, limits, resources, changed)
        VALUES (p_role, p_cluster, p_uid, p_profile, p_agent, p_issuer, p_subject, p_attrs, p_expires_at, p_limits, p_resources,
                pg_current_xact_id())
        ON CONFLICT (role) DO NOTHING;
        is_new := FOUND;
    ELSE
        PERFORM rolevend.expect_record(p_record);
        IF p_record ->> 'token' IS NOT NULL
           AND NOT rolevend.take_token(p_cluster, p_record ->> 'token', p_uid, (p_record ->> 'token_until')::timestamptz) THEN
            RAISE EXCEPTION 'the token was used for another role' USING ERRCODE = 'RV005';
        END IF;
        PERFORM rolevend.lock_agent(p_cluster, p_agent);
        -- No target: the uid is unique among records, too.
        INSERT INTO rolevend.lease (role, cluster_id, uid, profile, agent, issuer, subject, attrs, expires_at, limits, resources,
                                    record_name, record, record_profile, call, seal, token, token_until, changed)
        VALUES (p_role, p_cluster, p_uid, p_profile, p_agent, p_issuer, p_subject, p_attrs, p_expires_at, p_limits, p_resources,
                p_record ->> 'name', p_record ->> 'body', p_profile, p_record ->> 'call', p_record ->> 'seal', p_record ->> 'token',
                (p_record ->> 'token_until')::timestamptz, pg_current_xact_id())
        ON CONFLICT DO NOTHING;
        is_new := FOUND;
        IF is_new THEN
            most := p_record ->> 'most_live';
            UPDATE rolevend.counted SET live = live + 1 WHERE cluster_id = p_cluster AND agent = p_agent RETURNING live INTO living;
            IF living IS NULL OR living > most THEN     -- all are counted only then: that takes as long as there are many
                UPDATE rolevend.counted SET live = rolevend.count_live(p_cluster, p_agent)
                 WHERE cluster_id = p_cluster AND agent = p_agent RETURNING live INTO living;
            END IF;
            IF living > most THEN
                RAISE EXCEPTION '% has its maximum of % live roles', p_agent, most USING ERRCODE = 'RV006';
            END IF;
        END IF;
    END IF;

    IF NOT is_new THEN
        SELECT * INTO l FROM rolevend.lease WHERE role = p_role FOR UPDATE;
        IF (l.cluster_id, l.uid) IS DISTINCT FROM (p_cluster, p_uid) THEN
            RAISE EXCEPTION '% belongs to another vend', p_role USING ERRCODE = 'RV002';
        END IF;
        IF l.revoked_at IS NOT NULL OR l.expires_at <= clock_timestamp() THEN
            RAISE EXCEPTION '% is closed', p_role USING ERRCODE = 'RV001';
        END IF;
        IF (l.profile, l.attrs, l.resources) IS DISTINCT FROM (p_profile::name, p_attrs, p_resources) THEN
            RAISE EXCEPTION '% was vended with another profile, other attributes or other resources', p_role USING ERRCODE = 'RV002';
        END IF;
        IF l.call IS DISTINCT FROM p_record ->> 'call' THEN
            RAISE EXCEPTION '% was vended for another call', p_role USING ERRCODE = 'RV002';
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE oid = l.role_oid AND rolname = p_role) THEN
            RAISE EXCEPTION '% was vended, and then dropped by hand', p_role USING ERRCODE = 'RV002';
        END IF;
        EXECUTE format('ALTER ROLE %I PASSWORD %L', p_role, p_verifier);
        RETURN l.expires_at;
    END IF;

    -- In UTC and ISO: the caller's DateStyle and time zone could write "IST", which reads back as Israel's.
    EXECUTE format(
        'CREATE ROLE %I LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS '
        'CONNECTION LIMIT %s PASSWORD %L VALID UNTIL %L',
        p_role, coalesce(p_limits ->> 'connections', '8'), p_verifier, to_char(p_expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'));
    EXECUTE format('ALTER ROLE %I SET search_path = %I, pg_catalog', p_role, p_profile);
    IF p_limits ? 'transaction_seconds' THEN
        EXECUTE format('ALTER ROLE %I SET statement_timeout = %L', p_role, (p_limits ->> 'transaction_seconds') || 's');
    END IF;
    IF p_limits ? 'idle_transaction_seconds' THEN
        EXECUTE format(
            'ALTER ROLE %I SET idle_in_transaction_session_timeout = %L', p_role, (p_limits ->> 'idle_transaction_seconds') || 's');
    END IF;
    -- Only a superuser may set this one, so the agent cannot set it anew.
    IF p_limits ? 'temp_file_kb' AND has_parameter_privilege('temp_file_limit', 'SET') THEN
        EXECUTE format('ALTER ROLE %I SET temp_file_limit = %L', p_role, (p_limits ->> 'temp_file_kb') || 'kB');
    END IF;
    -- Last: without a superuser, what comes after it goes through all live roles once more.
    EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE, SET FALSE, ADMIN FALSE', p_profile, p_role);
    SELECT oid INTO made FROM pg_roles WHERE rolname = p_role;
    UPDATE rolevend.lease SET role_oid = made WHERE role = p_role;
    RETURN p_expires_at;
END
$$;

-- Up to 60 roles in one transaction: a commit is what a vend costs most. One that cannot be made fails alone, with its SQLSTATE.
-- No more than 60, because from 64 subtransactions on everybody's snapshots get slow.
-- Tokens are taken before the first vend and in one order, or two calls with the same tokens in another order would wait in a circle. That
-- is outside of the subtransactions, so the token of a vend that fails is given back by hand.
CREATE OR REPLACE FUNCTION rolevend.vend_many(p_vends jsonb)
RETURNS TABLE (role text, expires_at timestamptz, failed text, message text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v jsonb;
    taken jsonb;
BEGIN
    IF (jsonb_array_length(p_vends) BETWEEN 1 AND 60) IS NOT TRUE THEN
        RAISE EXCEPTION 'between 1 and 60 vends a call' USING ERRCODE = '22023';
    END IF;
    taken := rolevend.take_tokens(p_vends);
    -- GRANT locks the profile until the commit; everybody takes profiles in the same order, so nobody waits in a circle.
    FOR v IN SELECT e FROM jsonb_array_elements(p_vends) AS e ORDER BY e ->> 'profile', e ->> 'role' LOOP
        role := v ->> 'role';
        expires_at := NULL;
        failed := NULL;
        message := NULL;
        -- Whoever waits for a lock lets those behind wait, too: before the statement's time is over they are told to come again.
        IF clock_timestamp() > statement_timestamp() + interval '5 seconds' THEN
            failed := '55P03';
            message := 'not tried: those before it waited too long';
            taken := rolevend.give_back(v, taken);
            RETURN NEXT;
            CONTINUE;
        END IF;
        BEGIN
            expires_at := rolevend.vend(
                v ->> 'role', v ->> 'cluster', v ->> 'uid', v ->> 'profile', v ->> 'verifier', (v ->> 'expires_at')::timestamptz,
                v ->> 'agent', v ->> 'issuer', v ->> 'subject', v -> 'attrs', v -> 'limits',
                nullif(v -> 'resources', 'null'), nullif(v -> 'record', 'null'));
            -- The role has the token now: the same role again in this call does not give it back.
            taken := taken - rolevend.token_key(v);
        EXCEPTION WHEN OTHERS THEN
            failed := SQLSTATE;
            message := SQLERRM;
        END;
        IF failed IS NOT NULL THEN
            taken := rolevend.give_back(v, taken);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;

RESET ROLE;
