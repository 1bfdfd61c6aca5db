-- True if the server runs code of a role that is no superuser as soon as it plans a query of this table: a function in an index, in a
-- statistic or in a partition key, of the table or of one beneath it. It folds their expressions as the role that asks.
WITH RECURSIVE tree (oid) AS (
    SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE (n.nspname, c.relname) = (%(schema)s, %(name)s)
    UNION
    SELECT i.inhrelid FROM pg_inherits AS i JOIN tree ON tree.oid = i.inhparent
), planned (classid, objid) AS (
    SELECT 'pg_class'::regclass, oid FROM tree
    UNION ALL
    SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index AS i JOIN tree ON tree.oid = i.indrelid
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext AS s JOIN tree ON tree.oid = s.stxrelid
)
SELECT EXISTS (
    SELECT FROM planned
      JOIN pg_depend AS d USING (classid, objid)
      LEFT JOIN pg_operator AS o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
      JOIN pg_proc AS p ON p.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid ELSE o.oprcode END
      JOIN pg_roles AS r ON r.oid = p.proowner
     WHERE NOT r.rolsuper)
