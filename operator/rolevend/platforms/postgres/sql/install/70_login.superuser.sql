-- The last gate, from PostgreSQL 17 on: a login of a vended role without a live lease is refused under every authentication
-- method. VALID UNTIL, all that 16 has, ends passwords only.

SET LOCAL ROLE rv_owner;

-- Other roles never get to the lease table: if it were broken, only vended roles would be locked out.
CREATE OR REPLACE FUNCTION rolevend.on_login() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF session_user LIKE 'IMMUTA\_VENDED\_%' THEN
        IF NOT EXISTS (SELECT FROM rolevend.lease
                        WHERE role = session_user AND revoked_at IS NULL AND expires_at > clock_timestamp()) THEN
            RAISE insufficient_privilege USING MESSAGE = format('%s has no live lease', session_user);
        END IF;
        -- A session may be shorter than the time between two looks. One that was begun as read-only cannot be noted.
        IF current_setting('transaction_read_only') = 'off' THEN
            UPDATE rolevend.lease SET active_at = clock_timestamp()
             WHERE role = session_user AND revoked_at IS NULL AND limits ? 'idle_seconds'
               AND active_at < clock_timestamp() - interval '1 second';
        END IF;
    END IF;
END
$$;

CREATE EVENT TRIGGER rv_login ON login EXECUTE FUNCTION rolevend.on_login();

RESET ROLE;
