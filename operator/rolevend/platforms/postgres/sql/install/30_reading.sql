-- What row policies and views call, always inside (SELECT ...): evaluated once per query, not once per row.
-- Both look at session_user, the login: current_user is another inside a SECURITY DEFINER function, and SET ROLE changes it.

SET LOCAL ROLE rv_owner;

-- The values of one attribute of the lease, or NULL where it has none: "= ANY (NULL)" shows no row, and neither does its NOT.
-- With a type every value must be a plain literal of it, whatever the session's DateStyle and TimeZone say, or the answer is
-- NULL: a value that cannot be compared with the column switches the whole condition off.
-- STABLE, so that a view with such a mask can still be flattened into the query.
CREATE OR REPLACE FUNCTION rolevend.attr(p_key text, p_type text DEFAULT 'text') RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found text[];
    shape text;
BEGIN
    SELECT array_agg(v) INTO found
      FROM rolevend.lease AS l, jsonb_array_elements_text(l.attrs -> p_key) AS v
     WHERE l.role = session_user AND v <> '';
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
    IF shape IS NOT NULL AND EXISTS (SELECT FROM unnest(found) AS v WHERE v !~ shape OR NOT pg_input_is_valid(v, p_type)) THEN
        RETURN NULL;
    END IF;
    RETURN found;
END
$$;

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

RESET ROLE;
