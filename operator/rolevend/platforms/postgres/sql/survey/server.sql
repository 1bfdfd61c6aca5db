-- What the installation must know of the server before it does anything.
SELECT current_setting('server_version_num')::integer AS version_number,
       current_setting('server_version') AS version,
       current_database()::text AS database,
       (SELECT system_identifier::text FROM pg_control_system()) AS identifier,
       current_setting('is_superuser') = 'on' AS is_superuser,
       pg_is_in_recovery() AS is_standby,
       current_setting('server_encoding') AS encoding,
       current_setting('max_prepared_transactions')::integer AS prepared_transactions,
       to_regclass('rolevend.version') IS NOT NULL AS is_installed,
       to_regnamespace('rolevend') IS NOT NULL AS has_schema,
       EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'rv_login') AS has_login_trigger,
       (SELECT d.datname::text
          FROM pg_database AS d
         WHERE d.datname <> current_database()
           AND shobj_description((SELECT oid FROM pg_roles WHERE rolname = 'rv_owner'), 'pg_authid')
               = 'rolevend vends from the database ' || d.datname) AS other_database
