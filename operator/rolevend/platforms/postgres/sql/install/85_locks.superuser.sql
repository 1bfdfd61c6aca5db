-- Two operators that build one profile at a time take turns. The hardening takes these functions from PUBLIC.
GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint), pg_catalog.pg_advisory_unlock(bigint) TO :"programmer";
