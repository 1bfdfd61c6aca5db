-- Whoever switches the row security of a governed table off opens all its rows to the live roles that read it. These are locked out
-- with the same commit, and the operator drops them when it next looks.

SET LOCAL ROLE rv_owner;

-- Never an error: somebody else's ALTER TABLE must not fail for our sake. What is missed here is found by rolevend.drift().
CREATE OR REPLACE FUNCTION rolevend.on_alter_table() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '1s' SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    opened name[];
    closed integer;
BEGIN
    SELECT array_agg(t.template) INTO opened
      FROM pg_event_trigger_ddl_commands() AS d
      JOIN rolevend.template AS t ON t.table_oid = d.objid
      JOIN pg_class AS c ON c.oid = t.table_oid
     WHERE d.classid = 'pg_class'::regclass AND NOT c.relrowsecurity;
    IF opened IS NULL THEN
        RETURN;
    END IF;
    UPDATE rolevend.profile SET drift = 'row level security of a table was switched off' WHERE templates && opened AND drift IS NULL;
    UPDATE rolevend.lease AS l SET revoked_at = clock_timestamp(), reason = 'Revoked',
           changed = CASE WHEN l.record IS NOT NULL THEN pg_current_xact_id() ELSE l.changed END
      FROM (SELECT i.role FROM rolevend.lease AS i JOIN rolevend.profile AS p USING (profile)
             WHERE i.revoked_at IS NULL AND p.templates && opened ORDER BY i.role FOR UPDATE OF i) AS reading
     WHERE l.role = reading.role;
    GET DIAGNOSTICS closed = ROW_COUNT;
    RAISE NOTICE 'rolevend locks out % vended roles that read a table whose row level security was switched off', closed;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'rolevend could not lock out the vended roles that read this table: %', SQLERRM;
END
$$;

CREATE EVENT TRIGGER rv_guard ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION rolevend.on_alter_table();

RESET ROLE;
