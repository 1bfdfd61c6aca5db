-- Owners of governed tables for whom the programmer may not act yet.
SELECT DISTINCT o.rolname::text
  FROM pg_class AS c
  JOIN pg_roles AS o ON o.oid = c.relowner
 WHERE c.relnamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(%(schemas)s::text[]) AS s)
   AND c.relkind IN ('r', 'p') AND NOT o.rolsuper AND o.rolname <> %(programmer)s
   AND NOT EXISTS (SELECT FROM pg_auth_members AS m JOIN pg_roles AS p ON p.oid = m.member
                    WHERE m.roleid = o.oid AND p.rolname = %(programmer)s AND m.inherit_option)
 ORDER BY 1
