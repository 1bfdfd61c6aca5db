-- The server, and the installation in this database: what every version of rolevend has.
SELECT current_setting('server_version'),
       (SELECT system_identifier::text FROM pg_control_system()),
       (SELECT max(version) FROM rolevend.version),
       o.rolsuper
  FROM pg_roles AS o
 WHERE o.rolname = 'rv_owner'
