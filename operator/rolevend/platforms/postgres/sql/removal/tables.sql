-- Tables on which rolevend.govern() switched row security on: it makes the policy rv_readers then, and only then.
SELECT c.oid::regclass::text AS shown, c.relrowsecurity AS has_row_security, pg_has_role(c.relowner, 'USAGE') AS is_mine,
       ARRAY(SELECT o.polname::text FROM pg_policy AS o
              WHERE o.polrelid = c.oid AND o.polname <> 'rv_readers' AND o.polname !~ '^rv_t_[0-9a-f]{32}(_open)?$' ORDER BY 1) AS others
  FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
 WHERE p.polname = 'rv_readers'
 ORDER BY 1
