-- Tables with so many templates that the order of the statements matters, whether they had row security before rolevend, and the templates.
SELECT c.oid::regclass::text AS shown, c.relrowsecurity AND NOT bool_or(p.polname = 'rv_readers') AS had_row_security,
       ARRAY(SELECT DISTINCT r.rolname::text
               FROM aclexplode(c.relacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
              WHERE r.rolname = ANY (%(going)s::name[]) ORDER BY 1) AS templates
  FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid
 GROUP BY c.oid
HAVING count(*) FILTER (WHERE p.polname ~ '^rv_t_[0-9a-f]{32}(_open)?$') > 100
 ORDER BY 1
