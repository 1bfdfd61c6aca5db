-- The mask Hash. The salt leaves these functions only inside a hash: no role but rv_owner may read rolevend.salt.
-- PostgreSQL checks EXECUTE on a function in a view as the user of the view, and SELECT in a sub-select of a view or of a row policy as
-- the owner of the view. So a sub-select would let every owner of a view read the salt, also in a policy that somebody else wrote.
-- An agent has EXECUTE on rolevend.hash through rv_connect, and no USAGE on this schema: it cannot name the function to hash a value that it
-- chose. Nobody else has EXECUTE.

SET LOCAL ROLE rv_owner;

-- The newest salt. VOLATILE, so that the sub-select has a snapshot of its own: a hash key that was shared since the query began counts.
CREATE OR REPLACE FUNCTION rolevend.newest_salt() RETURNS bytea
LANGUAGE plpgsql VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT salt FROM rolevend.salt);
END
$$;

-- The salt as a constant. IMMUTABLE, so that the planner replaces the call in rolevend.hash by the salt, once per session: to read the table
-- for every row would take six times as long. Whoever changes the salt must alter rolevend.hash after it, which discards these plans.
-- debug_print_plan would send the plan, and so the salt, to the session. It is refused here, before the plan is there.
CREATE OR REPLACE FUNCTION rolevend.salt_of_session() RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('debug_print_plan')::boolean THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'hashed columns cannot be read while debug_print_plan is on',
            HINT = 'Run: SET debug_print_plan = off';
    END IF;
    RETURN rolevend.newest_salt();
END
$$;

-- 64 hexadecimal digits, or NULL where there is no value or no salt. One expression without a sub-select, which PL/pgSQL evaluates without
-- starting a query. No SET clause, which would cost every row a third more: every name is qualified instead.
CREATE OR REPLACE FUNCTION rolevend.hash(p_value text) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SECURITY DEFINER COST 10
AS $$
BEGIN
    RETURN pg_catalog.encode(
        pg_catalog.sha256(rolevend.salt_of_session() OPERATOR(pg_catalog.||) pg_catalog.convert_to(p_value, 'UTF8')), 'hex');
END
$$;

RESET ROLE;
