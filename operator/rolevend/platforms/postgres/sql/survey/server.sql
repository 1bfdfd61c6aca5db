-- What the installation must know of the server before it does anything, and of who asks.
-- Anybody with CREATE on the database can make a schema rolevend. What we read there must be rv_owner's, and without a superuser also run no
-- code of others: plain tables with columns of PostgreSQL's own types.
WITH ours AS (
    SELECT n.oid AS schema, o.oid AS owner, o.rolsuper AS is_superuser
      FROM pg_namespace AS n JOIN pg_roles AS o ON o.oid = n.nspowner AND o.rolname = 'rv_owner'
     WHERE n.nspname = 'rolevend'
)
SELECT current_setting('server_version_num')::integer AS version_number,
       current_setting('server_version') AS version,
       current_database()::text AS database,
       (SELECT system_identifier::text FROM pg_control_system()) AS identifier,
       current_user::text AS administrator,
       current_setting('is_superuser') = 'on' AS is_superuser,
       (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user) AS makes_roles,
       (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) AS owns_database,
       has_table_privilege('pg_hba_file_rules', 'SELECT') AND has_function_privilege('pg_hba_file_rules()', 'EXECUTE') AS shows_access,
       NOT current_setting('is_superuser')::boolean AND pg_has_role('pg_signal_backend', 'MEMBER WITH ADMIN OPTION') AS may_lend_signals,
       NOT current_setting('is_superuser')::boolean AND has_parameter_privilege('temp_file_limit', 'SET WITH GRANT OPTION') AS may_lend_files,
       pg_has_role('pg_use_reserved_connections', 'MEMBER WITH ADMIN OPTION') AS may_lend_connections,
       current_setting('reserved_connections')::integer AS reserved_connections,
       pg_is_in_recovery() AS is_standby,
       current_setting('server_encoding') AS encoding,
       current_setting('max_prepared_transactions')::integer AS prepared_transactions,
       v.oid IS NOT NULL AND NOT EXISTS (
           SELECT FROM pg_class AS c
            WHERE c.relnamespace = v.relnamespace AND c.relkind NOT IN ('i', 't')
              AND (c.relowner <> v.owner
                   OR NOT v.is_superuser
                      AND (c.relkind <> 'r' OR c.relhassubclass
                           OR EXISTS (SELECT FROM pg_attribute AS a
                                       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                                         AND (a.atttypid >= 16384 OR a.attgenerated <> ''))))
              AND c.relname IN ('version', 'taken', 'lease', 'profile', 'template')) AS is_installed,
       coalesce(has_schema_privilege(v.relnamespace, 'USAGE') AND has_table_privilege(v.oid, 'SELECT'), true) AS may_look,
       EXISTS (SELECT FROM pg_namespace WHERE nspname = 'rolevend') AS has_schema,
       ARRAY(SELECT e.evtname::text
               FROM pg_event_trigger AS e JOIN pg_proc AS p ON p.oid = e.evtfoid
              WHERE e.evtname LIKE 'rv\_%' AND p.pronamespace = (SELECT s.schema FROM ours AS s) ORDER BY 1) AS event_triggers,
       (SELECT d.datname::text
          FROM pg_database AS d
         WHERE d.datname <> current_database()
           AND shobj_description((SELECT oid FROM pg_roles WHERE rolname = 'rv_owner'), 'pg_authid')
               = 'rolevend vends from the database ' || d.datname) AS other_database
  FROM (SELECT 1) AS once
  LEFT JOIN (SELECT c.oid, c.relnamespace, s.owner, s.is_superuser
               FROM ours AS s JOIN pg_class AS c ON c.relnamespace = s.schema AND c.relname = 'version' AND c.relkind = 'r') AS v ON true
