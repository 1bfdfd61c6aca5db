-- Whether rolevend is there that judges functions, and this login may ask it. Its functions run with the rights of who asks, so those of
-- somebody else's schema rolevend are not called, and a superuser calls those of a superuser only.
SELECT EXISTS (SELECT FROM pg_proc AS p
                 JOIN pg_namespace AS n ON n.oid = p.pronamespace
                 JOIN pg_roles AS o ON o.oid = n.nspowner AND o.oid = p.proowner
                WHERE n.nspname = 'rolevend' AND p.proname = 'no_tool' AND o.rolname = 'rv_owner'
                  AND (o.rolsuper OR NOT (SELECT s.rolsuper FROM pg_roles AS s WHERE s.rolname = session_user))
                  AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'))
