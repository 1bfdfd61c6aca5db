-- Owners for whom the programmer may not act yet: of governed tables, and of schemas and their functions that agents may have as tools. Of
-- the latter only those whom it may be let act for; the others are told of when an agent asks for such a tool.
SELECT DISTINCT o.rolname::text
  FROM pg_class AS c
  JOIN pg_roles AS o ON o.oid = c.relowner
 WHERE c.relnamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(%(schemas)s::text[]) AS s)
   AND c.relkind IN ('r', 'p') AND NOT o.rolsuper AND o.rolname <> %(programmer)s
   AND NOT EXISTS (SELECT FROM pg_auth_members AS m JOIN pg_roles AS p ON p.oid = m.member
                    WHERE m.roleid = o.oid AND p.rolname = %(programmer)s AND m.inherit_option)
UNION
SELECT o.rolname::text
  FROM pg_namespace AS n
 CROSS JOIN LATERAL (SELECT n.nspowner UNION SELECT f.proowner FROM pg_proc AS f WHERE f.pronamespace = n.oid) AS x (owner)
  JOIN pg_roles AS o ON o.oid = x.owner
 WHERE n.nspname = ANY (%(functions)s::name[]) AND o.rolname <> %(programmer)s AND o.rolname !~ '^pg_'
   AND pg_has_role(o.oid, 'MEMBER WITH ADMIN OPTION')
   AND NOT EXISTS (SELECT FROM pg_roles AS s WHERE (s.rolsuper OR s.rolname = current_user) AND pg_has_role(o.oid, s.oid, 'MEMBER'))
   AND NOT EXISTS (SELECT FROM pg_auth_members AS m JOIN pg_roles AS p ON p.oid = m.member
                    WHERE m.roleid = o.oid AND p.rolname = %(programmer)s AND m.inherit_option)
 ORDER BY 1
