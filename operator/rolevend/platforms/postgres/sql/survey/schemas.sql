-- Those of these schemas that exist.
SELECT nspname::text FROM pg_namespace WHERE nspname = ANY (%(schemas)s::name[])
