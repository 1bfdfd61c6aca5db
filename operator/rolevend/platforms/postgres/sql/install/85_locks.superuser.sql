-- Two operators that build one profile at a time take turns. The hardening takes these functions from PUBLIC.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint), pg_catalog.pg_advisory_unlock(bigint) TO :"programmer";

-- Drivers call this one before they use a session again (asyncpg's pools). A vended role has no such lock to give back.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_unlock_all() TO rv_connect;
