-- The records of roles without an object in Kubernetes: see the columns of rolevend.lease. They are read from the table.
-- enable_seqscan is off as in 50_ending.sql.

SET LOCAL ROLE rv_owner;

-- Refuses anything but {name, body, call, seal, token, token_until, most_live}; the last three may be missing or null.
CREATE OR REPLACE FUNCTION rolevend.expect_record(p_record jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (jsonb_typeof(p_record) = 'object'
        AND p_record ->> 'name' ~ '^[^/]+/[^/]+$' AND octet_length(p_record ->> 'name') <= 512
        AND p_record ->> 'body' IS JSON OBJECT AND octet_length(p_record ->> 'body') <= 1048576
        AND octet_length(p_record ->> 'call') BETWEEN 1 AND 256
        AND octet_length(p_record ->> 'seal') BETWEEN 1 AND 1024) IS NOT TRUE THEN
        RAISE EXCEPTION 'not a record with name, body, call and seal' USING ERRCODE = '22023';
    END IF;
    IF (CASE WHEN p_record ->> 'token' IS NULL THEN p_record ->> 'token_until' IS NULL
             ELSE p_record ->> 'token' ~ '^[0-9a-f]{64}$' AND pg_input_is_valid(p_record ->> 'token_until', 'timestamptz')
        END) IS NOT TRUE THEN
        RAISE EXCEPTION 'not the digest of a token with its expiry' USING ERRCODE = '22023';
    END IF;
    IF (coalesce(p_record ->> 'most_live', '1') ~ '^[0-9]{1,9}$') IS NOT TRUE THEN
        RAISE EXCEPTION 'not a maximum of live roles' USING ERRCODE = '22023';
    END IF;
END
$$;

-- Records that p_holder uses the token, unless another one did; again is the same. Waits for a transaction that takes the same token.
CREATE OR REPLACE FUNCTION rolevend.take_token(p_cluster text, p_digest text, p_holder text, p_expires_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_holder text;
BEGIN
    IF (p_digest ~ '^[0-9a-f]{64}$' AND p_cluster <> '' AND octet_length(p_holder) BETWEEN 1 AND 512
        AND isfinite(p_expires_at)) IS NOT TRUE THEN
        RAISE EXCEPTION 'not the digest of a token, its holder and its expiry' USING ERRCODE = '22023';
    END IF;
    -- Again where another transaction took it between the two statements, and for the case that it gave it back.
    FOR i IN 1..10 LOOP
        SELECT holder INTO found_holder FROM rolevend.used_token WHERE cluster_id = p_cluster AND digest = p_digest;
        IF FOUND THEN
            RETURN found_holder = p_holder;
        END IF;
        INSERT INTO rolevend.used_token (cluster_id, digest, holder, expires_at)
        VALUES (p_cluster, p_digest, p_holder, p_expires_at) ON CONFLICT (cluster_id, digest) DO NOTHING;
        IF FOUND THEN
            RETURN true;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'others take and give back the same token' USING ERRCODE = '40001';
END
$$;

-- The key of a vend's token in the answer of rolevend.take_tokens(); NULL where it has none.
CREATE OR REPLACE FUNCTION rolevend.token_key(p_vend jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT (p_vend #>> '{record,token}') || ' ' || (p_vend ->> 'cluster') $$;

-- Takes the tokens of a call of rolevend.vend_many(), in the order of their digests. Of two vends with one token the one that is tried first
-- gets it. Answers those that this call took, {key: uid}; a token that is malformed, or that another one has, is left to rolevend.vend().
CREATE OR REPLACE FUNCTION rolevend.take_tokens(p_vends jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken jsonb;
BEGIN
    IF NOT jsonb_path_exists(p_vends, '$[*].record') THEN
        RETURN '{}';
    END IF;
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT ON (e ->> 'cluster', e #>> '{record,token}')
               e ->> 'cluster' AS cluster_id, e #>> '{record,token}' AS digest, e ->> 'uid' AS holder, e #>> '{record,token_until}' AS until,
               rolevend.token_key(e) AS key
          FROM jsonb_array_elements(p_vends) AS e
         WHERE e #>> '{record,token}' ~ '^[0-9a-f]{64}$' AND e ->> 'cluster' <> '' AND octet_length(e ->> 'uid') BETWEEN 1 AND 512
           AND pg_input_is_valid(e #>> '{record,token_until}', 'timestamptz')
         ORDER BY e ->> 'cluster', e #>> '{record,token}', e ->> 'profile', e ->> 'role'
    ), inserted AS (
        INSERT INTO rolevend.used_token AS u (cluster_id, digest, holder, expires_at)
        SELECT w.cluster_id, w.digest, w.holder, w.until::timestamptz FROM wanted AS w ORDER BY w.cluster_id, w.digest
        ON CONFLICT (cluster_id, digest) DO NOTHING
        RETURNING u.cluster_id, u.digest, u.holder
    )
    SELECT coalesce(jsonb_object_agg(w.key, i.holder), '{}') INTO taken FROM inserted AS i JOIN wanted AS w USING (cluster_id, digest);
    -- In one order, too, and before the first profile is locked.
    PERFORM rolevend.lock_agent(a.cluster_id, a.agent)
       FROM (SELECT DISTINCT e ->> 'cluster' AS cluster_id, e ->> 'agent' AS agent
               FROM jsonb_array_elements(p_vends) AS e
              WHERE e #>> '{record,name}' IS NOT NULL AND e ->> 'cluster' IS NOT NULL AND e ->> 'agent' IS NOT NULL
              ORDER BY 1, 2) AS a;
    RETURN taken;
END
$$;

-- Deletes the record of a token that rolevend.take_tokens() took for a vend that failed. Answers the tokens that are left.
CREATE OR REPLACE FUNCTION rolevend.give_back(p_vend jsonb, p_taken jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_taken ->> rolevend.token_key(p_vend) = p_vend ->> 'uid' THEN
        DELETE FROM rolevend.used_token
         WHERE cluster_id = p_vend ->> 'cluster' AND digest = p_vend #>> '{record,token}' AND holder = p_vend ->> 'uid';
        RETURN p_taken - rolevend.token_key(p_vend);
    END IF;
    RETURN p_taken;
END
$$;

-- Waits until no other transaction counts the agent's roles, and keeps others from it until the commit.
CREATE OR REPLACE FUNCTION rolevend.lock_agent(p_cluster text, p_agent text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOOP
        PERFORM FROM rolevend.counted WHERE cluster_id = p_cluster AND agent = p_agent FOR NO KEY UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO rolevend.counted (cluster_id, agent) VALUES (p_cluster, p_agent) ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
    END LOOP;
END
$$;

-- How many roles with a record the agent has. One that is ending counts until it is dropped.
CREATE OR REPLACE FUNCTION rolevend.count_live(p_cluster text, p_agent text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT count(*) FROM rolevend.lease
             WHERE cluster_id = p_cluster AND agent = p_agent AND record IS NOT NULL AND reported_at IS NULL AND dropped_at IS NULL);
END
$$;

-- Records that the answers with the credentials were sent; the first time stays. Answers those of p_uids that live.
CREATE OR REPLACE FUNCTION rolevend.confirm(p_cluster text, p_uids text[]) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    living name[];
BEGIN
    IF (cardinality(p_uids) BETWEEN 1 AND 1000) IS NOT TRUE THEN
        RAISE EXCEPTION 'between 1 and 1000 roles a call' USING ERRCODE = '22023';
    END IF;
    living := ARRAY(
        SELECT l.role FROM rolevend.lease AS l
         WHERE l.cluster_id = p_cluster AND l.uid = ANY (p_uids) AND l.record IS NOT NULL
           AND l.revoked_at IS NULL AND l.expires_at > clock_timestamp()
         ORDER BY l.role FOR NO KEY UPDATE);
    UPDATE rolevend.lease SET confirmed_at = clock_timestamp(), changed = pg_current_xact_id()
     WHERE role = ANY (living) AND confirmed_at IS NULL;
    RETURN QUERY SELECT l.uid FROM rolevend.lease AS l WHERE l.role = ANY (living);
END
$$;

-- Locks a role out as rolevend.close(), and records who ended it and why. The first end stays. Answers false where there is no such record,
-- or where p_version is given and is not its version now.
CREATE OR REPLACE FUNCTION rolevend.end_record(
    p_cluster text, p_uid text, p_reason text, p_by text, p_message text, p_version text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    l record;
BEGIN
    IF (p_reason = ANY ('{Released,Revoked,Expired,Orphaned}') AND octet_length(p_by) <= 4096 AND octet_length(p_message) <= 16384
        ) IS NOT TRUE THEN
        RAISE EXCEPTION 'not the end of a role: a reason, who ends it, and a message' USING ERRCODE = '22023';
    END IF;
    SELECT role, revoked_at, changed INTO l FROM rolevend.lease
     WHERE cluster_id = p_cluster AND uid = p_uid AND record IS NOT NULL FOR UPDATE;
    IF NOT FOUND OR l.changed::text <> p_version THEN
        RETURN false;
    END IF;
    IF l.revoked_at IS NULL THEN
        UPDATE rolevend.lease SET ended_by = p_by, ended_message = p_message WHERE role = l.role;
        PERFORM rolevend.close(l.role, p_cluster, p_uid, p_reason);
    END IF;
    RETURN true;
END
$$;

-- Keeps which sessions the end of a role terminated. Nothing is written where none is new. The caller has the lease locked.
CREATE OR REPLACE FUNCTION rolevend.keep_ended(p_role text, p_pids integer[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE rolevend.lease
       SET ended_pids = ARRAY(SELECT unnest(ended_pids) UNION SELECT unnest(p_pids)), changed = pg_current_xact_id()
     WHERE role = p_role AND record IS NOT NULL AND NOT ended_pids @> p_pids;
END
$$;

-- Records that the ends of these roles are in the audit trail. Roles that are not dropped are left as they are.
CREATE OR REPLACE FUNCTION rolevend.report_ends(p_cluster text, p_uids text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (cardinality(p_uids) BETWEEN 1 AND 1000) IS NOT TRUE THEN
        RAISE EXCEPTION 'between 1 and 1000 roles a call' USING ERRCODE = '22023';
    END IF;
    UPDATE rolevend.lease AS l SET reported_at = clock_timestamp()
      FROM (SELECT i.role FROM rolevend.lease AS i
             WHERE i.cluster_id = p_cluster AND i.uid = ANY (p_uids) AND i.record IS NOT NULL
               AND i.dropped_at IS NOT NULL AND i.reported_at IS NULL
             ORDER BY i.role FOR NO KEY UPDATE) AS gone
     WHERE l.role = gone.role;
END
$$;

-- Deletes records of this cluster's expired tokens, 10000 at most, and answers how many. Nothing here waits for another process that does
-- the same.
CREATE OR REPLACE FUNCTION rolevend.collect_tokens(p_cluster text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    deleted bigint;
BEGIN
    DELETE FROM rolevend.used_token AS u
     USING (SELECT i.digest FROM rolevend.used_token AS i
             WHERE i.cluster_id = p_cluster AND i.expires_at < clock_timestamp() LIMIT 10000 FOR UPDATE SKIP LOCKED) AS expired
     WHERE u.cluster_id = p_cluster AND u.digest = expired.digest;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$$;

RESET ROLE;
