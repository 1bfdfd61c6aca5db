-- What the programmer's login calls when policy changes, and what finds out that somebody changed a governed table by hand.

SET LOCAL ROLE rv_owner;

-- Switches row security on, so that a template's policy can hold. That alone would show every other reader no rows: who may use
-- the table today keeps all of them, by name, and so do the roles that read or write every table. A grant to PUBLIC is kept by
-- rv_public, who everybody was. A table that has row security already is left as it is.
-- With the caller's rights: it must own the table.
CREATE OR REPLACE FUNCTION rolevend.govern(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    is_on boolean;
    has_templates boolean;
    readers text;
BEGIN
    SELECT c.relrowsecurity, EXISTS (SELECT FROM rolevend.template AS t WHERE t.table_oid = c.oid AND NOT t.rebuild)
      INTO is_on, has_templates
      FROM pg_class AS c WHERE c.oid = p_table;
    IF is_on THEN
        RETURN;
    END IF;
    IF has_templates THEN
        RAISE EXCEPTION 'row security of % was switched off', p_table USING ERRCODE = 'RV004';
    END IF;
    SELECT string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'rv_public' ELSE a.grantee::regrole::text END, ', ')
      INTO readers
      FROM (SELECT relacl FROM pg_class WHERE oid = p_table
            UNION ALL
            SELECT attacl FROM pg_attribute WHERE attrelid = p_table AND NOT attisdropped) AS x (acl), aclexplode(x.acl) AS a
     WHERE a.grantee = 0 OR a.grantee::regrole::text !~ '^rv_t_';
    readers := concat_ws(', ', 'pg_read_all_data', 'pg_write_all_data', readers);
    -- The lock comes with the first statement: whoever does the same at the same time waits here, and then does it again.
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    IF EXISTS (SELECT FROM pg_policy WHERE polrelid = p_table AND polname = 'rv_readers') THEN
        EXECUTE format('DROP POLICY rv_readers ON %s', p_table);
    END IF;
    EXECUTE format('CREATE POLICY rv_readers ON %s TO %s USING (true) WITH CHECK (true)', p_table, readers);
END
$$;

-- The policies that bear on what a template shows, as texts: {"own": {name: text}, "foreign": {name: text}}. Those of other
-- templates and rv_readers are neither: they change nothing for this one.
CREATE OR REPLACE FUNCTION rolevend.policies(p_table oid, p_template name) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT jsonb_build_object(
               'own', coalesce(jsonb_object_agg(p.polname, p.as_text) FILTER (WHERE p.is_own), '{}'),
               'foreign', coalesce(jsonb_object_agg(p.polname, p.as_text) FILTER (WHERE NOT p.is_own), '{}'))
      FROM (SELECT polname,
                   polname IN (p_template, p_template || '_open') AS is_own,
                   format('%s %s to %s using (%s) with check (%s)',
                          CASE WHEN polpermissive THEN 'permissive' ELSE 'restrictive' END,
                          polcmd,
                          ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END FROM unnest(polroles) AS r ORDER BY 1),
                          pg_get_expr(polqual, polrelid),
                          pg_get_expr(polwithcheck, polrelid)) AS as_text
              FROM pg_policy
             WHERE polrelid = p_table AND polname <> 'rv_readers') AS p
     WHERE p.is_own
        OR NOT EXISTS (SELECT FROM rolevend.template AS t
                        WHERE t.table_oid = p_table AND p.polname IN (t.template, t.template || '_open'))
$$;

-- What a profile's schema holds: {view: [owner, digest of its definition]}.
CREATE OR REPLACE FUNCTION rolevend.views(p_profile name) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(c.relname, jsonb_build_array(c.relowner::regrole::text, md5(r.ev_action::text))), '{}')
      FROM pg_namespace AS n
      JOIN pg_class AS c ON c.relnamespace = n.oid
      LEFT JOIN pg_rewrite AS r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
     WHERE n.nspname = p_profile AND c.relkind <> 'i'
$$;

-- What was changed by hand since these templates (NULL: all) were made; no rows is as it should be.
-- A table that is gone, or another one by the same name, is marked "replaced": nothing was opened, and it is built anew when it
-- is next needed.
CREATE OR REPLACE FUNCTION rolevend.findings(p_templates name[])
RETURNS TABLE (template name, replaced boolean, finding text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    WITH seen AS MATERIALIZED (
        SELECT t.template, t.table_oid, t.policies, c.oid IS NULL AS is_gone, c.relrowsecurity, c.relowner, r.oid AS role_oid,
               r.rolsuper OR r.rolbypassrls OR r.rolcanlogin AS is_strong,
               to_regclass(format('%I.%I', t.schema_name, t.table_name)) IS DISTINCT FROM t.table_oid::regclass AS is_another,
               CASE WHEN c.oid IS NOT NULL THEN rolevend.policies(t.table_oid, t.template) END AS policies_now
          FROM rolevend.template AS t
          LEFT JOIN pg_class AS c ON c.oid = t.table_oid
          LEFT JOIN pg_roles AS r ON r.rolname = t.template
         WHERE p_templates IS NULL OR t.template = ANY (p_templates)
    )
    SELECT s.template, true, CASE WHEN s.is_gone THEN 'the table was dropped' ELSE 'another table has its name now' END
      FROM seen AS s WHERE s.is_gone OR s.is_another
    UNION ALL
    SELECT s.template, false, 'row level security was switched off' FROM seen AS s WHERE NOT s.relrowsecurity
    UNION ALL
    SELECT s.template, false,
           format('policy %I was %s', p.name, CASE WHEN p.now IS NULL THEN 'dropped' WHEN p.was IS NULL THEN 'added' ELSE 'altered' END)
      FROM seen AS s
     CROSS JOIN unnest(ARRAY['own', 'foreign']) AS kind
     CROSS JOIN LATERAL (SELECT coalesce(was.key, now.key), was.value, now.value
                           FROM jsonb_each_text(s.policies -> kind) AS was
                           FULL JOIN jsonb_each_text(s.policies_now -> kind) AS now ON now.key = was.key) AS p (name, was, now)
     WHERE NOT s.is_gone AND p.was IS DISTINCT FROM p.now
    UNION ALL
    SELECT s.template, false, format('role %I was dropped', s.template) FROM seen AS s WHERE s.role_oid IS NULL
    UNION ALL
    SELECT s.template, false, format('role %I may log in or passes row security by', s.template) FROM seen AS s WHERE s.is_strong
    UNION ALL
    SELECT s.template, false, format('role %I has the rights of the table''s owner, whom no policy binds', s.template)
      FROM seen AS s WHERE s.role_oid IS NOT NULL AND NOT s.is_gone AND pg_has_role(s.role_oid, s.relowner, 'USAGE')
$$;

-- All drift of one cluster's profiles. Notes it in rolevend.profile, so that nothing new is vended over it, or takes the note
-- away where all is well again.
CREATE OR REPLACE FUNCTION rolevend.drift(p_cluster text)
RETURNS TABLE (schema_name text, table_name text, finding text, profiles name[])
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH found (schema_name, table_name, finding, profile) AS MATERIALIZED (
        SELECT t.schema_name::text, t.table_name::text, f.finding, p.profile
          FROM rolevend.findings(NULL) AS f
          JOIN rolevend.template AS t USING (template)
          LEFT JOIN rolevend.profile AS p ON t.template = ANY (p.templates)
         WHERE t.cluster_id = p_cluster
        UNION ALL
        SELECT coalesce(p.tables -> v.name ->> 0, p.profile::text), coalesce(p.tables -> v.name ->> 1, v.name),
               format('view %I.%I was %s', p.profile, v.name,
                      CASE WHEN v.now IS NULL THEN 'dropped' WHEN v.was IS NULL THEN 'added' ELSE 'altered' END),
               p.profile
          FROM rolevend.profile AS p
         CROSS JOIN LATERAL (SELECT coalesce(was.key, now.key), was.value, now.value
                               FROM jsonb_each(p.views) AS was
                               FULL JOIN jsonb_each(rolevend.views(p.profile)) AS now ON now.key = was.key) AS v (name, was, now)
         WHERE p.cluster_id = p_cluster AND v.was IS DISTINCT FROM v.now
        UNION ALL
        SELECT t.value ->> 0, t.value ->> 1, 'another table has its name now', p.profile
          FROM rolevend.profile AS p CROSS JOIN LATERAL jsonb_each(p.tables) AS t
         WHERE p.cluster_id = p_cluster
           AND to_regclass(format('%I.%I', t.value ->> 0, t.value ->> 1))::oid IS DISTINCT FROM (t.value ->> 2)::oid
    ), noted AS (
        UPDATE rolevend.profile AS p SET drift = n.drift
          FROM (SELECT o.profile, string_agg(DISTINCT concat(f.schema_name, '.', f.table_name, ': ', f.finding), '; ')
                                      FILTER (WHERE f.profile IS NOT NULL) AS drift
                  FROM rolevend.profile AS o LEFT JOIN found AS f ON f.profile = o.profile
                 WHERE o.cluster_id = p_cluster GROUP BY o.profile) AS n
         WHERE p.profile = n.profile AND p.drift IS DISTINCT FROM n.drift
    )
    SELECT f.schema_name, f.table_name, f.finding, coalesce(array_agg(DISTINCT f.profile) FILTER (WHERE f.profile IS NOT NULL), '{}')
      FROM found AS f GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
$$;

-- The last statement of the transaction that makes a template: what its policies are now is what they are meant to be.
CREATE OR REPLACE FUNCTION rolevend.record_template(p_template name, p_cluster text, p_schema name, p_table name) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO rolevend.template (template, cluster_id, table_oid, schema_name, table_name, policies)
    SELECT p_template, p_cluster, c.oid, p_schema, p_table, rolevend.policies(c.oid, p_template)
      FROM to_regclass(format('%I.%I', p_schema, p_table)) AS c (oid)
    ON CONFLICT (template) DO UPDATE
       SET table_oid = excluded.table_oid, policies = excluded.policies, rebuild = false
$$;

-- The last statement of the transaction that makes a profile: from its commit on the profile can be vended.
-- p_tables is {view: [schema, table]}.
CREATE OR REPLACE FUNCTION rolevend.record_profile(p_profile name, p_cluster text, p_digest text, p_templates name[], p_tables jsonb)
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO rolevend.profile (profile, cluster_id, digest, templates, tables, views)
    SELECT p_profile, p_cluster, p_digest, p_templates,
           coalesce(jsonb_object_agg(t.key, t.value || to_jsonb(to_regclass(format('%I.%I', t.value ->> 0, t.value ->> 1))::oid)), '{}'),
           rolevend.views(p_profile)
      FROM jsonb_each(p_tables) AS t
    ON CONFLICT (profile) DO UPDATE
       SET digest = excluded.digest, templates = excluded.templates, tables = excluded.tables, views = excluded.views, drift = NULL
$$;

-- For a person who looked at a drift: the operator may make our policies and views anew, switch row security on again, and take
-- the policies of others as they are now. It does so when the table is next needed.
CREATE OR REPLACE FUNCTION rolevend.accept(p_table regclass) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE rolevend.profile AS p SET digest = ''
     WHERE p.templates && ARRAY(SELECT template FROM rolevend.template WHERE table_oid = p_table);
    UPDATE rolevend.template SET rebuild = true WHERE table_oid = p_table
$$;

RESET ROLE;
