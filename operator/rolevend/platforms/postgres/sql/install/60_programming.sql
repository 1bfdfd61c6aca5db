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
     WHERE a.grantee = 0 OR a.grantee::regrole::text !~ '^rv_t_[0-9a-f]{32}$';
    readers := concat_ws(', ', 'pg_read_all_data', 'pg_write_all_data', readers);
    -- The lock comes with the first statement: whoever does the same at the same time waits here, and then does it again.
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    IF EXISTS (SELECT FROM pg_policy WHERE polrelid = p_table AND polname = 'rv_readers') THEN
        EXECUTE format('DROP POLICY rv_readers ON %s', p_table);
    END IF;
    EXECUTE format('CREATE POLICY rv_readers ON %s TO %s USING (true) WITH CHECK (true)', p_table, readers);
END
$$;

-- Makes the roles of these templates where they are not there. They have no right yet, and nobody is a member of them.
-- With the owner's rights, and for names of templates only: so the programmer can create no other role, and does not become an
-- admin member of thousands, which would make every further one slower.
-- Where the owner is no superuser, createrole_self_grant gives it what giving a view away takes: SET ROLE, without any right.
CREATE OR REPLACE FUNCTION rolevend.make_templates(p_templates name[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET createrole_self_grant = 'set' SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    t name;
BEGIN
    FOR t IN SELECT x FROM unnest(p_templates) AS x ORDER BY x LOOP
        IF (t ~ '^rv_t_[0-9a-f]{32}$') IS NOT TRUE THEN
            RAISE EXCEPTION 'not the name of a template' USING ERRCODE = '22023';
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = t) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', t);
        END IF;
        EXECUTE format('GRANT rv_template TO %I WITH INHERIT TRUE, SET FALSE', t);
    END LOOP;
END
$$;

-- Makes the role of a profile. It has no right but to connect.
CREATE OR REPLACE FUNCTION rolevend.make_profile(p_profile name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF (p_profile ~ '^rv_p_[0-9a-z]+$') IS NOT TRUE THEN
        RAISE EXCEPTION 'not the name of a profile' USING ERRCODE = '22023';
    END IF;
    EXECUTE format('CREATE ROLE %I NOLOGIN', p_profile);
    EXECUTE format('GRANT rv_connect TO %I WITH INHERIT TRUE, SET FALSE', p_profile);
END
$$;

-- Gives the views of a profile to their templates: {view: template}. Only now do they read with the rights of these.
-- Whoever gets a view must be able to create one there, unless a superuser gives it.
-- From here on none of the templates is taken away: see drop_template. One that is gone by now must be made anew first.
-- A view may use the table of its template, functions of ours that a role of a profile may call, types and collations. It is looked at when it
-- is locked, and only in READ COMMITTED, where a query sees what was committed before the lock.
CREATE OR REPLACE FUNCTION rolevend.hand_over(p_profile name, p_owners jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v record;
    v_templates name[] := ARRAY(SELECT DISTINCT value::name FROM jsonb_each_text(p_owners));
    v_there bigint;
    v_beyond text;
BEGIN
    IF (p_profile ~ '^rv_p_[0-9a-z]+$') IS NOT TRUE THEN
        RAISE EXCEPTION 'not the name of a profile' USING ERRCODE = '22023';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'views are handed over in a transaction of isolation level READ COMMITTED only' USING ERRCODE = '22023';
    END IF;
    IF EXISTS (SELECT FROM unnest(v_templates) AS t WHERE (t ~ '^rv_t_[0-9a-f]{32}$') IS NOT TRUE) THEN
        RAISE EXCEPTION 'not the name of a template' USING ERRCODE = '22023';
    END IF;
    PERFORM FROM rolevend.template WHERE template = ANY (v_templates) ORDER BY template FOR KEY SHARE;
    GET DIAGNOSTICS v_there = ROW_COUNT;
    IF v_there < cardinality(v_templates) THEN
        RAISE EXCEPTION 'a template of % was taken away', p_profile USING ERRCODE = '40001';
    END IF;
    EXECUTE format('GRANT CREATE ON SCHEMA %I TO rv_template', p_profile);
    FOR v IN SELECT key AS name, value AS template FROM jsonb_each_text(p_owners) ORDER BY key LOOP
        EXECUTE format('ALTER VIEW %I.%I OWNER TO %I', p_profile, v.name, v.template);
    END LOOP;
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM rv_template', p_profile);
    SELECT format('view %I.%I uses %s, and may use the table of %s only', p_profile, c.relname,
                  pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), t.template)
      INTO v_beyond
      FROM jsonb_each_text(p_owners) AS o
      JOIN rolevend.template AS t ON t.template = o.value::name
      JOIN pg_class AS c ON c.oid = to_regclass(format('%I.%I', p_profile, o.key))
      JOIN pg_rewrite AS r ON r.ev_class = c.oid
      JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
     WHERE CASE d.refclassid
           WHEN 'pg_class'::regclass THEN d.refobjid NOT IN (c.oid, t.table_oid)
           WHEN 'pg_proc'::regclass
           THEN NOT EXISTS (SELECT FROM pg_proc AS p
                             WHERE p.oid = d.refobjid AND p.pronamespace = 'rolevend'::regnamespace
                               AND has_function_privilege('rv_connect', p.oid, 'EXECUTE'))
           ELSE d.refclassid NOT IN ('pg_type'::regclass, 'pg_collation'::regclass) END
     LIMIT 1;
    IF v_beyond IS NOT NULL THEN
        RAISE EXCEPTION '%', v_beyond USING ERRCODE = '22023';
    END IF;
    SELECT format('function %s: %s', o.routine, o.why) INTO v_beyond FROM rolevend.opened() AS o LIMIT 1;
    IF v_beyond IS NOT NULL THEN
        RAISE EXCEPTION '%', v_beyond USING ERRCODE = 'RV004';
    END IF;
END
$$;

-- Takes a profile away. First the leave to vend it: a vend that comes meanwhile waits, and is then refused; a live lease refuses.
CREATE OR REPLACE FUNCTION rolevend.drop_profile(p_profile name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM rolevend.profile WHERE profile = p_profile;
    IF FOUND THEN
        EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', p_profile);
        PERFORM rolevend.act_for(p_profile);
        EXECUTE format('DROP OWNED BY %I', p_profile);
        EXECUTE format('DROP ROLE %I', p_profile);
    END IF;
END
$$;

-- Takes a template away, with its policies and its right to read. A view that it still owns refuses.
-- DROP OWNED drops views, too. So first the row, for which hand_over and this wait for each other; only then a look for views, which sees
-- those of whoever was waited for.
CREATE OR REPLACE FUNCTION rolevend.drop_template(p_template name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM rolevend.template WHERE template = p_template;
    IF FOUND THEN
        IF EXISTS (SELECT FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner WHERE r.rolname = p_template) THEN
            RAISE EXCEPTION '% still owns views', p_template USING ERRCODE = '2BP01';
        END IF;
        PERFORM rolevend.act_for(p_template);
        EXECUTE format('DROP OWNED BY %I', p_template);
        EXECUTE format('DROP ROLE %I', p_template);
    END IF;
END
$$;

-- A policy as one text, for comparing. Without a search_path of its own, so that it is inlined; whoever calls it has pinned one.
CREATE OR REPLACE FUNCTION rolevend.policy_text(p pg_catalog.pg_policy) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT pg_catalog.format(
        '%s %s to %s using (%s) with check (%s)',
        CASE WHEN p.polpermissive THEN 'permissive' ELSE 'restrictive' END,
        p.polcmd,
        ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END FROM pg_catalog.unnest(p.polroles) AS r ORDER BY 1),
        pg_catalog.pg_get_expr(p.polqual, p.polrelid),
        pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
$$;

-- Which template a policy of this name would belong to: it has two. Inlined, as policy_text is.
CREATE OR REPLACE FUNCTION rolevend.template_of(p_policy name) RETURNS text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT CASE pg_catalog.right(p_policy::text, 5) WHEN '_open' THEN pg_catalog.left(p_policy::text, -5) ELSE p_policy::text END
$$;

-- As version 1 had it: with both of them its name would say which one no more.
DROP FUNCTION IF EXISTS rolevend.policies(oid[], name);

-- Of these tables the policies that bear on each template: its two own ones, and those of others. Policies of other templates and
-- rv_readers are neither: they change nothing for this one.
CREATE OR REPLACE FUNCTION rolevend.policies(p_tables oid[])
RETURNS TABLE (template name, kind text, name name, as_text text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH texts AS MATERIALIZED (
        SELECT p.polrelid, p.polname, t.template, rolevend.policy_text(p) AS as_text
          FROM pg_policy AS p
          LEFT JOIN rolevend.template AS t ON t.table_oid = p.polrelid AND t.template = rolevend.template_of(p.polname)::name
         WHERE p.polrelid = ANY (p_tables) AND p.polname <> 'rv_readers'
    )
    SELECT x.template, 'own', x.polname, x.as_text FROM texts AS x WHERE x.template IS NOT NULL
    UNION ALL
    SELECT t.template, 'foreign', x.polname, x.as_text
      FROM texts AS x JOIN rolevend.template AS t ON t.table_oid = x.polrelid
     WHERE x.template IS NULL
$$;

-- What a profile's schema holds: {view: [owner, digest of its definition]}. The owner's name is joined and not cast: a cast knows no role
-- that was dropped since the query began, and a profile that is just taken away would look altered.
CREATE OR REPLACE FUNCTION rolevend.views(p_profile name) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(jsonb_object_agg(c.relname,
                                     jsonb_build_array(coalesce(quote_ident(a.rolname), c.relowner::text), md5(r.ev_action::text))), '{}')
      FROM pg_namespace AS n
      JOIN pg_class AS c ON c.relnamespace = n.oid
      LEFT JOIN pg_roles AS a ON a.oid = c.relowner
      LEFT JOIN pg_rewrite AS r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
     WHERE n.nspname = p_profile AND c.relkind <> 'i'
$$;

-- What was changed by hand since these templates (NULL: all) were made; no rows is as it should be.
-- A table that is gone, or another one by the same name, is marked "replaced": nothing was opened, and it is built anew when it
-- is next needed.
-- Texts of policies name roles as they are when they are read: of a template that was taken away since the query began they say nothing.
CREATE OR REPLACE FUNCTION rolevend.findings(p_templates name[])
RETURNS TABLE (template name, replaced boolean, finding text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH seen AS MATERIALIZED (
        SELECT t.template, t.table_oid, t.policies, c.oid IS NULL AS is_gone, c.relrowsecurity, c.relowner, r.oid AS role_oid,
               r.rolsuper OR r.rolbypassrls OR r.rolcanlogin AS is_strong,
               to_regclass(format('%I.%I', t.schema_name, t.table_name)) IS DISTINCT FROM t.table_oid::regclass AS is_another
          FROM rolevend.template AS t
          LEFT JOIN pg_class AS c ON c.oid = t.table_oid
          LEFT JOIN pg_roles AS r ON r.rolname = t.template
         WHERE p_templates IS NULL OR t.template = ANY (p_templates)
    ), was (template, kind, name, as_text) AS (
        SELECT s.template, k.key, p.key::name, p.value
          FROM seen AS s CROSS JOIN LATERAL jsonb_each(s.policies) AS k CROSS JOIN LATERAL jsonb_each_text(k.value) AS p
         WHERE NOT s.is_gone
    ), now (template, kind, name, as_text) AS (
        SELECT p.template, p.kind, p.name, p.as_text
          FROM rolevend.policies(ARRAY(SELECT DISTINCT s.table_oid FROM seen AS s)) AS p
         WHERE p.template IN (SELECT s.template FROM seen AS s)
    )
    SELECT s.template, true, CASE WHEN s.is_gone THEN 'the table was dropped' ELSE 'another table has its name now' END
      FROM seen AS s WHERE s.is_gone OR s.is_another
    UNION ALL
    SELECT s.template, false, 'row level security was switched off' FROM seen AS s WHERE NOT s.relrowsecurity
    UNION ALL
    SELECT template, false,
           format('policy %I was %s', name, CASE WHEN now.as_text IS NULL THEN 'dropped' WHEN was.as_text IS NULL THEN 'added' ELSE 'altered' END)
      FROM was FULL JOIN now USING (template, kind, name) JOIN seen AS s USING (template)
     WHERE CASE WHEN was.as_text IS DISTINCT FROM now.as_text THEN s.role_oid IS NOT DISTINCT FROM to_regrole(template::text)::oid END
    UNION ALL
    SELECT s.template, false, format('role %I was dropped', s.template) FROM seen AS s WHERE s.role_oid IS NULL
    UNION ALL
    SELECT s.template, false, format('role %I may log in or passes row security by', s.template) FROM seen AS s WHERE s.is_strong
    UNION ALL
    SELECT s.template, false, format('role %I has the rights of the table''s owner, whom no policy binds', s.template)
      FROM seen AS s WHERE s.role_oid IS NOT NULL AND NOT s.is_gone AND pg_has_role(s.role_oid, s.relowner, 'USAGE')
$$;

-- Which functions a profile may call, for rolevend.drift(): with the owner's rights, to write it down.
CREATE OR REPLACE FUNCTION rolevend.record_functions(p_profile name, p_functions regprocedure[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE rolevend.profile SET functions = (
        SELECT jsonb_object_agg(p.oid::regprocedure, jsonb_build_array(
                   n.nspname, format('%s(%s)', p.proname, oidvectortypes(p.proargtypes)), p.oid))
          FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE p.oid = ANY (p_functions))
     WHERE profile = p_profile
$$;

-- Lets a profile call these functions. With the caller's rights: it must act for the owners of them and of their schemas.
CREATE OR REPLACE FUNCTION rolevend.give_functions(p_profile name, p_functions regprocedure[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.oid::regprocedure AS function, n.nspname AS schema, rolevend.no_tool(p.oid) AS why
          FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE p.oid = ANY (p_functions) ORDER BY p.oid
    LOOP
        IF f.why IS NOT NULL THEN
            RAISE EXCEPTION 'function % %', f.function, f.why USING ERRCODE = 'RV004';
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', f.schema, p_profile);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', f.function, p_profile);
        -- Who may grant nothing is only warned where PUBLIC has the right.
        IF NOT EXISTS (SELECT FROM pg_proc AS p, aclexplode(p.proacl) AS a WHERE p.oid = f.function AND a.grantee = p_profile::regrole)
           OR NOT has_schema_privilege(p_profile, f.schema, 'USAGE') THEN
            RAISE insufficient_privilege USING
                MESSAGE = format('%s may not let others call %s', current_user, f.function);
        END IF;
    END LOOP;
    PERFORM rolevend.record_functions(p_profile, p_functions);
END
$$;

-- As version 1 had it: CREATE OR REPLACE cannot change what a function answers.
DROP FUNCTION IF EXISTS rolevend.drift(text);

-- All drift of one cluster's profiles. Notes it in rolevend.profile, so that nothing new is vended over it, or takes the note
-- away where all is well again. "replaced" is as in rolevend.findings: a table or a view is gone, which opens nothing. So is a function
-- that is a way around policies now: nobody has to accept it, since nothing is vended with it any more. NULL: a function that every vended role
-- can call, and that the rights of its caller do not bind.
CREATE OR REPLACE FUNCTION rolevend.drift(p_cluster text)
RETURNS TABLE (schema_name text, table_name text, replaced boolean, finding text, profiles name[])
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH found (schema_name, table_name, replaced, finding, profile) AS MATERIALIZED (
        SELECT t.schema_name::text, t.table_name::text, f.replaced, f.finding, p.profile
          FROM rolevend.findings(NULL) AS f
          JOIN rolevend.template AS t USING (template)
          LEFT JOIN rolevend.profile AS p ON t.template = ANY (p.templates) AND p.cluster_id = p_cluster
         WHERE t.cluster_id = p_cluster
        UNION ALL
        SELECT coalesce(p.tables -> v.name ->> 0, p.profile::text), coalesce(p.tables -> v.name ->> 1, v.name), v.now IS NULL,
               format('view %I.%I was %s', p.profile, v.name,
                      CASE WHEN v.now IS NULL THEN 'dropped' WHEN v.was IS NULL THEN 'added' ELSE 'altered' END),
               p.profile
          FROM rolevend.profile AS p
         CROSS JOIN LATERAL (SELECT coalesce(was.key, now.key), was.value, now.value
                               FROM jsonb_each(p.views) AS was
                               FULL JOIN jsonb_each(rolevend.views(p.profile)) AS now ON now.key = was.key) AS v (name, was, now)
         WHERE p.cluster_id = p_cluster AND v.was IS DISTINCT FROM v.now
        UNION ALL
        SELECT t.value ->> 0, t.value ->> 1, true, 'another table has its name now', p.profile
          FROM rolevend.profile AS p CROSS JOIN LATERAL jsonb_each(p.tables) AS t
         WHERE p.cluster_id = p_cluster
           AND to_regclass(format('%I.%I', t.value ->> 0, t.value ->> 1))::oid <> (t.value ->> 2)::oid
        UNION ALL
        SELECT n.nspname::text, format('%s(%s)', f.proname, oidvectortypes(f.proargtypes)), NULL, o.why, p.profile
          FROM rolevend.opened() AS o
          JOIN pg_proc AS f ON f.oid = o.routine
          JOIN pg_namespace AS n ON n.oid = f.pronamespace
          LEFT JOIN rolevend.profile AS p ON p.cluster_id = p_cluster
        UNION ALL
        SELECT f.value ->> 0, f.value ->> 1, true, w.why, p.profile
          FROM rolevend.profile AS p
         CROSS JOIN LATERAL jsonb_each(p.functions) AS f
         CROSS JOIN LATERAL (SELECT CASE WHEN to_regprocedure(f.key)::oid IS DISTINCT FROM (f.value ->> 2)::oid
                                         THEN 'the function was dropped, or another one has its name now'
                                         ELSE rolevend.no_tool((f.value ->> 2)::oid) END) AS w (why)
         WHERE p.cluster_id = p_cluster AND w.why IS NOT NULL
    ), noted AS (
        UPDATE rolevend.profile AS p SET drift = n.drift
          FROM (SELECT o.profile, string_agg(DISTINCT concat(f.schema_name, '.', f.table_name, ': ', f.finding), '; ')
                                      FILTER (WHERE f.profile IS NOT NULL) AS drift
                  FROM rolevend.profile AS o LEFT JOIN found AS f ON f.profile = o.profile
                 WHERE o.cluster_id = p_cluster GROUP BY o.profile) AS n
         WHERE p.profile = n.profile AND p.drift IS DISTINCT FROM n.drift
    )
    SELECT f.schema_name, f.table_name, f.replaced, f.finding,
           coalesce(array_agg(DISTINCT f.profile) FILTER (WHERE f.profile IS NOT NULL), '{}')
      FROM found AS f GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
$$;

-- The last statement of the transaction that makes a template: what its policies are now (as rolevend.policies says, of one
-- template) is what they are meant to be. In plpgsql, which plans it once and not for every template.
CREATE OR REPLACE FUNCTION rolevend.record_template(p_template name, p_cluster text, p_schema name, p_table name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_table oid := to_regclass(format('%I.%I', p_schema, p_table));
BEGIN
    INSERT INTO rolevend.template (template, cluster_id, table_oid, schema_name, table_name, policies)
    SELECT p_template, p_cluster, v_table, p_schema, p_table, coalesce(jsonb_object_agg(k.kind, k.policies), '{}')
      FROM (SELECT CASE rolevend.template_of(p.polname) WHEN p_template THEN 'own' ELSE 'foreign' END AS kind,
                   jsonb_object_agg(p.polname, rolevend.policy_text(p)) AS policies
              FROM pg_policy AS p
             WHERE p.polrelid = v_table AND p.polname <> 'rv_readers'
               AND (rolevend.template_of(p.polname) = p_template
                    OR NOT EXISTS (SELECT FROM rolevend.template AS t
                                    WHERE t.table_oid = v_table AND t.template = rolevend.template_of(p.polname)::name))
             GROUP BY 1) AS k
    ON CONFLICT (template) DO UPDATE SET table_oid = excluded.table_oid, policies = excluded.policies, rebuild = false;
END
$$;

-- As earlier versions had it: without the form. An operator of such a version builds nothing here any more.
DROP FUNCTION IF EXISTS rolevend.record_profile(name, text, text, name[], jsonb);

-- The last statement of the transaction that makes a profile: from its commit on the profile can be vended.
-- p_tables is {view: [schema, table]}; p_form says how its views read their tables.
-- A role and a schema of somebody else may have such a name: what is recorded here can be vended, and is dropped with all that it owns.
CREATE OR REPLACE FUNCTION rolevend.record_profile(
    p_profile name, p_cluster text, p_digest text, p_templates name[], p_tables jsonb, p_form integer)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid JOIN pg_roles AS r ON r.oid = m.member
                    WHERE g.rolname = 'rv_connect' AND r.rolname = p_profile AND NOT r.rolcanlogin)
       OR NOT EXISTS (SELECT FROM pg_namespace AS n JOIN pg_roles AS o ON o.oid = n.nspowner JOIN rolevend.version AS v ON v.programmer = o.rolname
                       WHERE n.nspname = p_profile) THEN
        RAISE check_violation USING MESSAGE = format('%s is no profile that was made here', p_profile);
    END IF;
    INSERT INTO rolevend.profile (profile, cluster_id, digest, templates, tables, views, form)
    SELECT p_profile, p_cluster, p_digest, p_templates,
           coalesce(jsonb_object_agg(t.key, t.value || to_jsonb(to_regclass(format('%I.%I', t.value ->> 0, t.value ->> 1))::oid)), '{}'),
           rolevend.views(p_profile), p_form
      FROM jsonb_each(p_tables) AS t
    ON CONFLICT (profile) DO UPDATE
       SET digest = excluded.digest, templates = excluded.templates, tables = excluded.tables, views = excluded.views, form = excluded.form,
           drift = NULL;
END
$$;

-- For a person: lets a role read and write all rows of a governed table, as those may who did when row security was switched on.
CREATE OR REPLACE FUNCTION rolevend.admit(p_table regclass, p_role regrole) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    readers text;
BEGIN
    SELECT string_agg(DISTINCT r::regrole::text, ', ') INTO readers
      FROM (SELECT unnest(polroles) FROM pg_policy WHERE polrelid = p_table AND polname = 'rv_readers'
            UNION ALL SELECT p_role) AS x (r);
    EXECUTE format('ALTER POLICY rv_readers ON %s TO %s', p_table, readers);
END
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
