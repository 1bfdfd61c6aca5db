-- What row policies and views call, always inside (SELECT ...): evaluated once per query, not once per row.
-- Both look at session_user, the login: current_user is another inside a SECURITY DEFINER function, and SET ROLE changes it.

SET LOCAL ROLE rv_owner;

-- True while the lease of this login lives; otherwise an error, so that no query ends early and looks complete.
-- clock_timestamp(): now() stands still in a transaction, and statement_timestamp() in a DO loop.
-- PARALLEL SAFE, or every parallel plan would be lost.
CREATE OR REPLACE FUNCTION rolevend.live() RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM rolevend.lease
      WHERE role = session_user AND revoked_at IS NULL AND expires_at > clock_timestamp();
    IF NOT FOUND THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('the lease of %s expired, was revoked or never was', session_user),
            HINT = 'Request a new lease.';
    END IF;
    RETURN true;
END
$$;

-- A barrier for the planner. An output column of a sub-query that calls a volatile function takes no condition from outside, and
-- such a sub-query is not merged into the query around it. So no condition of an agent is evaluated before the row filter, and none
-- becomes an index condition. After that decision the planner replaces the call by its argument: it costs nothing when the query runs.
-- Keep it VOLATILE, in SQL, and without SET: each of these is needed for that.
CREATE OR REPLACE FUNCTION rolevend.fence(anyelement) RETURNS anyelement
LANGUAGE sql VOLATILE PARALLEL SAFE
AS 'SELECT $1';

-- True while row security filters this table for the caller; otherwise an error. It asks the newest catalog, whatever snapshot the
-- transaction has: a lease that was closed when row security was switched off still lives in an older snapshot.
-- With the caller's rights: row security is never active for rv_owner.
CREATE OR REPLACE FUNCTION rolevend.guarded(p_table regclass) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT row_security_active(p_table) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('row security of %s is switched off', p_table),
            HINT = 'The owner of the table switches it on again.';
    END IF;
    RETURN true;
END
$$;

-- As rolevend.live(), and the lease is not narrowed to other tables. An error as well, so that an empty answer is none of this.
-- By name and not by oid: a table that is made anew under its name was asked for by that name.
CREATE OR REPLACE FUNCTION rolevend.reads(p_schema text, p_table text) RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM rolevend.lease
      WHERE role = session_user AND revoked_at IS NULL AND expires_at > clock_timestamp()
        AND (resources IS NULL OR jsonb_exists(resources -> p_schema, p_table));
    IF NOT FOUND AND rolevend.live() THEN   -- where it does not live, the error says that
        RAISE insufficient_privilege USING
            MESSAGE = format('the lease of %s is narrowed to other tables than %I.%I', session_user, p_schema, p_table),
            HINT = 'Request a new lease with this table among its resources.';
    END IF;
    RETURN true;
END
$$;

-- The values of one attribute of the lease, or NULL where it has none: "= ANY (NULL)" shows no row, and neither does its NOT.
-- With a type every value must be a plain literal of it, whatever the session's DateStyle and TimeZone say, or the answer is
-- NULL: a value that cannot be compared with the column switches the whole condition off.
-- Without a live lease an error, as rolevend.live(): what needs an attribute needs no other guard.
-- STABLE, so that a view with such a mask can still be flattened into the query.
CREATE OR REPLACE FUNCTION rolevend.attr(p_key text, p_type text DEFAULT 'text') RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    given jsonb;
    listed text[];
    shape text;
BEGIN
    SELECT attrs -> p_key INTO given FROM rolevend.lease
     WHERE role = session_user AND revoked_at IS NULL AND expires_at > clock_timestamp();
    IF NOT FOUND THEN
        PERFORM rolevend.live();    -- which says so
    END IF;
    SELECT array_agg(v) INTO listed FROM jsonb_array_elements_text(given) AS v WHERE v <> '';
    IF p_type = 'text' THEN
        -- Comparing with an array of less than 127 bytes costs a copy of it for every row, which can be half of a query's time.
        -- What makes it longer is new and random each time, so it equals no value of anybody.
        RETURN CASE WHEN listed IS NOT NULL THEN listed || repeat(gen_random_uuid()::text, 4) END;
    END IF;
    shape := CASE p_type
        WHEN 'bigint' THEN '^-?[0-9]+$'
        WHEN 'numeric' THEN '^-?[0-9]+(\.[0-9]+)?$'
        WHEN 'real' THEN '^-?[0-9]+(\.[0-9]+)?$'
        WHEN 'double precision' THEN '^-?[0-9]+(\.[0-9]+)?$'
        WHEN 'boolean' THEN '^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$'
        WHEN 'date' THEN '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'
        WHEN 'timestamp without time zone' THEN '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?$'
        WHEN 'timestamp with time zone'
            THEN '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})$'
        WHEN 'uuid' THEN '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
    END;
    IF EXISTS (SELECT FROM unnest(listed) AS v WHERE (v ~ shape AND pg_input_is_valid(v, p_type)) IS NOT TRUE) THEN
        RETURN NULL;
    END IF;
    RETURN listed;
END
$$;

RESET ROLE;
