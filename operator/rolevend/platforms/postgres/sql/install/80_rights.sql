-- Who may do what. Nothing here reaches a table of anybody else.

REVOKE ALL ON ALL ROUTINES IN SCHEMA rolevend FROM PUBLIC;

GRANT USAGE ON SCHEMA rolevend TO :"vendor", :"programmer";

-- Views and policies call these as the agent. Without USAGE on the schema it cannot call them by name.
GRANT EXECUTE ON FUNCTION rolevend.attr, rolevend.live TO rv_connect;

GRANT SELECT ON rolevend.salt TO rv_template;

-- The vendor: vends, ends, looks. It holds no other right in this database.
GRANT EXECUTE ON FUNCTION
    rolevend.vend, rolevend.vend_many, rolevend.close, rolevend.close_many, rolevend.finish, rolevend.finish_many,
    rolevend.forget, rolevend.note_sweep
    TO :"vendor";

GRANT EXECUTE ON PROCEDURE rolevend.sweep TO :"vendor";

GRANT SELECT ON rolevend.version, rolevend.profile, rolevend.lease, rolevend.swept TO :"vendor";

-- The programmer: makes templates and profiles, and looks for drift.
GRANT rv_connect, rv_template TO :"programmer" WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;

GRANT SELECT ON rolevend.version, rolevend.lease, rolevend.swept TO :"programmer";

GRANT SELECT, INSERT, UPDATE, DELETE ON rolevend.template, rolevend.profile TO :"programmer";

GRANT EXECUTE ON FUNCTION
    rolevend.govern, rolevend.policies, rolevend.views, rolevend.findings, rolevend.drift,
    rolevend.record_template, rolevend.record_profile, rolevend.attr, rolevend.live
    TO :"programmer";

-- Two operators that build one profile at a time take turns. The hardening takes these functions from PUBLIC.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint), pg_catalog.pg_advisory_unlock(bigint) TO :"programmer";
