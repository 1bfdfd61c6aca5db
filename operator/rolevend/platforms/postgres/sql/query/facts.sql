-- What the server says of itself, and what it lacks.
SELECT current_setting('server_version'),
       (SELECT system_identifier::text FROM pg_control_system()),
       v.version,
       current_setting('server_version_num')::integer >= 170000,
       EXISTS (SELECT FROM pg_event_trigger WHERE evtname = 'rv_login' AND evtenabled <> 'D'),
       (SELECT s.at > clock_timestamp() - interval '5 minutes' FROM rolevend.swept AS s),
       current_setting('max_prepared_transactions')::integer,
       ARRAY(SELECT d.datname::text
               FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
              WHERE d.datallowconn AND a.grantee = 0 AND a.privilege_type = 'CONNECT' ORDER BY 1),
       ARRAY(SELECT r.rolname::text FROM pg_roles AS r
              WHERE r.rolname LIKE 'IMMUTA\_VENDED\_%' AND NOT EXISTS (SELECT FROM rolevend.lease AS l WHERE l.role = r.rolname) ORDER BY 1)
  FROM (SELECT max(version) AS version FROM rolevend.version) AS v
