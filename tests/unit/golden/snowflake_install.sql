-- rolevend 2 in account myorg-account1, for schemas of database CLAIMS
-- Run it as ACCOUNTADMIN, in Snowsight or with `snow sql -f`. Each statement may run again.

-- It makes roles and users, and lends what nobody else can. Nothing of ours keeps it.
USE ROLE ACCOUNTADMIN;

-- Builds profiles: views, roles and policies. It reads the governed tables, since its views do.
CREATE ROLE IF NOT EXISTS "RV_PROGRAMMER" COMMENT = 'rolevend: builds profiles: views, roles and policies. It reads the governed tables, since its views do.';

-- Makes and drops vended roles and their users. It sees which tables there are, and reads none but our own.
CREATE ROLE IF NOT EXISTS "RV_VENDOR" COMMENT = 'rolevend: makes and drops vended roles and their users. It sees which tables there are, and reads none but our own.';

-- Every profile holds it, and nobody else: by it a policy knows a vended session, whatever its primary role is.
CREATE ROLE IF NOT EXISTS "RV_MARKER" COMMENT = 'rolevend: every profile holds it, and nobody else: by it a policy knows a vended session, whatever its primary role is.';

-- Nobody has it: what a vended role owned at its end goes there.
CREATE ROLE IF NOT EXISTS "RV_QUARANTINE" COMMENT = 'rolevend: nobody has it: what a vended role owned at its end goes there.';

-- Owns the task that ends roles whose time is over, while nothing of ours runs in any cluster.
CREATE ROLE IF NOT EXISTS "RV_REAPER" COMMENT = 'rolevend: owns the task that ends roles whose time is over, while nothing of ours runs in any cluster.';

-- Only the owner of a role grants it, here to each profile.
GRANT OWNERSHIP ON ROLE "RV_MARKER" TO ROLE "RV_PROGRAMMER" COPY CURRENT GRANTS;

-- Everything of ours is in one database. Your own get a policy on each governed table, and nothing else.
CREATE DATABASE IF NOT EXISTS "ROLEVEND";

-- Leases, and policies. Profiles have schemas of their own beside it.
CREATE SCHEMA IF NOT EXISTS "ROLEVEND"."CONTROL";

-- One row for each vended role, with its time and the values of its user, and one for its end. Rows are only added: an
-- UPDATE would lock all of them. CLUSTER is NOT NULL since our own guards rely on it.
CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."LEASE" (
    ROLE VARCHAR NOT NULL,
    CLUSTER VARCHAR NOT NULL,
    UID VARCHAR NOT NULL,
    EVENT VARCHAR NOT NULL,
    RECORDED_AT TIMESTAMP_TZ NOT NULL DEFAULT CURRENT_TIMESTAMP(),
    PROFILE VARCHAR,
    EXPIRES_AT TIMESTAMP_TZ,
    ATTRS VARCHAR,
    TABLES VARCHAR
);

-- The profiles that are built, and what they read, each written last of all.
CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."PROFILE" (
    PROFILE VARCHAR NOT NULL,
    CLUSTER VARCHAR NOT NULL,
    TABLES VARCHAR NOT NULL,
    RECORDED_AT TIMESTAMP_TZ NOT NULL DEFAULT CURRENT_TIMESTAMP()
);

-- The part of each profile in a table's policies, so that they can be rebuilt.
CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."FRAGMENT" (PROFILE VARCHAR NOT NULL, PLACE VARCHAR NOT NULL, FRAGMENT VARCHAR NOT NULL);

-- Tables that cannot be governed, and why: only who programs may ask which policies they have, and who vends must know.
CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."OBSTACLE" (SCHEMA_NAME VARCHAR NOT NULL, TABLE_NAME VARCHAR NOT NULL, OBSTACLE VARCHAR NOT NULL);

-- The tools of agents, and what is behind each: who vends may not see them all, and must decide as the programmer does.
CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."TOOL" (CLUSTER VARCHAR NOT NULL, TOOL VARCHAR NOT NULL);

-- The secret of the mask Hash. No vended role can read it.
CREATE TABLE IF NOT EXISTS "ROLEVEND"."CONTROL"."SALT" (SALT BINARY NOT NULL, DOMAIN VARCHAR);

-- Made once. With another one every hash is another.
INSERT INTO "ROLEVEND"."CONTROL"."SALT" (SALT) SELECT SHA2_BINARY(RANDSTR(64, RANDOM()), 256) WHERE (SELECT COUNT(*) FROM "ROLEVEND"."CONTROL"."SALT") = 0;

-- For vended users: no secondary role, and no session that is forgotten. It takes the place of the account's session
-- policy for them, so copy what that one asks for.
CREATE SESSION POLICY IF NOT EXISTS "ROLEVEND"."CONTROL"."VENDED_SESSION" SESSION_IDLE_TIMEOUT_MINS = 60 SESSION_UI_IDLE_TIMEOUT_MINS = 15 ALLOWED_SECONDARY_ROLES = ();

-- A vended role is a role. The vendor owns only those that it makes.
GRANT CREATE ROLE ON ACCOUNT TO ROLE "RV_VENDOR";

-- Each vended role has a user of its own, which goes with it.
GRANT CREATE USER ON ACCOUNT TO ROLE "RV_VENDOR";

-- The row of a lease is written there. Roles and users need no warehouse.
GRANT USAGE ON WAREHOUSE "AGENTS_WH" TO ROLE "RV_VENDOR";

-- The way to our own tables.
GRANT USAGE ON DATABASE "ROLEVEND" TO ROLE "RV_VENDOR";

-- The same.
GRANT USAGE ON SCHEMA "ROLEVEND"."CONTROL" TO ROLE "RV_VENDOR";

-- It adds leases and their ends, and changes none.
GRANT SELECT, INSERT ON TABLE "ROLEVEND"."CONTROL"."LEASE" TO ROLE "RV_VENDOR";

-- It vends what is built, and nothing else.
GRANT SELECT ON TABLE "ROLEVEND"."CONTROL"."PROFILE" TO ROLE "RV_VENDOR";

-- It decides as the programmer does.
GRANT SELECT ON TABLE "ROLEVEND"."CONTROL"."OBSTACLE" TO ROLE "RV_VENDOR";

-- The same.
GRANT SELECT ON TABLE "ROLEVEND"."CONTROL"."TOOL" TO ROLE "RV_VENDOR";

-- Every vended user gets it.
GRANT APPLY ON SESSION POLICY "ROLEVEND"."CONTROL"."VENDED_SESSION" TO ROLE "RV_VENDOR";

-- It finds the governed schemas.
GRANT USAGE ON DATABASE "CLAIMS" TO ROLE "RV_VENDOR";

-- It finds the tables of PUBLIC.
GRANT USAGE ON SCHEMA "CLAIMS"."PUBLIC" TO ROLE "RV_VENDOR";

-- It sees which columns a table has, and no row.
GRANT REFERENCES ON ALL TABLES IN SCHEMA "CLAIMS"."PUBLIC" TO ROLE "RV_VENDOR";

-- The same for tables to come.
GRANT REFERENCES ON FUTURE TABLES IN SCHEMA "CLAIMS"."PUBLIC" TO ROLE "RV_VENDOR";

-- It finds the tables of odd "schema".
GRANT USAGE ON SCHEMA "CLAIMS"."odd ""schema""" TO ROLE "RV_VENDOR";

-- It sees which columns a table has, and no row.
GRANT REFERENCES ON ALL TABLES IN SCHEMA "CLAIMS"."odd ""schema""" TO ROLE "RV_VENDOR";

-- The same for tables to come.
GRANT REFERENCES ON FUTURE TABLES IN SCHEMA "CLAIMS"."odd ""schema""" TO ROLE "RV_VENDOR";

-- Each profile is a role, which it hands to the vendor when it is built.
GRANT CREATE ROLE ON ACCOUNT TO ROLE "RV_PROGRAMMER";

-- It gives each profile the warehouse that vended roles use.
GRANT USAGE ON WAREHOUSE "AGENTS_WH" TO ROLE "RV_PROGRAMMER" WITH GRANT OPTION;

-- It gives each profile a way to its views.
GRANT USAGE ON DATABASE "ROLEVEND" TO ROLE "RV_PROGRAMMER" WITH GRANT OPTION;

-- The views of a profile are a schema, and so are the canaries of an attestation.
GRANT CREATE SCHEMA ON DATABASE "ROLEVEND" TO ROLE "RV_PROGRAMMER";

-- The policies of governed tables are there.
GRANT USAGE, CREATE ROW ACCESS POLICY, CREATE MASKING POLICY ON SCHEMA "ROLEVEND"."CONTROL" TO ROLE "RV_PROGRAMMER";

-- Its policies and views look leases up.
GRANT SELECT ON ALL TABLES IN SCHEMA "ROLEVEND"."CONTROL" TO ROLE "RV_PROGRAMMER";

-- It writes down what is built, and what is no more.
GRANT INSERT, DELETE ON TABLE "ROLEVEND"."CONTROL"."PROFILE" TO ROLE "RV_PROGRAMMER";

-- The same for the parts of policies.
GRANT INSERT, DELETE ON TABLE "ROLEVEND"."CONTROL"."FRAGMENT" TO ROLE "RV_PROGRAMMER";

-- And for what cannot be governed.
GRANT INSERT, DELETE ON TABLE "ROLEVEND"."CONTROL"."OBSTACLE" TO ROLE "RV_PROGRAMMER";

-- And for tools.
GRANT INSERT, DELETE ON TABLE "ROLEVEND"."CONTROL"."TOOL" TO ROLE "RV_PROGRAMMER";

-- It sets the policy of each governed table.
GRANT APPLY ROW ACCESS POLICY ON ACCOUNT TO ROLE "RV_PROGRAMMER";

-- And those of their columns.
GRANT APPLY MASKING POLICY ON ACCOUNT TO ROLE "RV_PROGRAMMER";

-- It finds the governed schemas, and their tables.
GRANT USAGE ON DATABASE "CLAIMS" TO ROLE "RV_PROGRAMMER";

-- Policies are written for PUBLIC.
GRANT USAGE ON SCHEMA "CLAIMS"."PUBLIC" TO ROLE "RV_PROGRAMMER";

-- A view reads with its owner's rights.
GRANT SELECT ON ALL TABLES IN SCHEMA "CLAIMS"."PUBLIC" TO ROLE "RV_PROGRAMMER";

-- The same for tables to come.
GRANT SELECT ON FUTURE TABLES IN SCHEMA "CLAIMS"."PUBLIC" TO ROLE "RV_PROGRAMMER";

-- Policies are written for odd "schema".
GRANT USAGE ON SCHEMA "CLAIMS"."odd ""schema""" TO ROLE "RV_PROGRAMMER";

-- A view reads with its owner's rights.
GRANT SELECT ON ALL TABLES IN SCHEMA "CLAIMS"."odd ""schema""" TO ROLE "RV_PROGRAMMER";

-- The same for tables to come.
GRANT SELECT ON FUTURE TABLES IN SCHEMA "CLAIMS"."odd ""schema""" TO ROLE "RV_PROGRAMMER";

-- It drops what the vendor made. Nobody logs in with it.
GRANT ROLE "RV_VENDOR" TO ROLE "RV_REAPER";

-- It writes ends down, and forgets them a week later.
GRANT SELECT, INSERT, DELETE ON TABLE "ROLEVEND"."CONTROL"."LEASE" TO ROLE "RV_REAPER";

-- Its task runs on Snowflake's own machines.
GRANT EXECUTE TASK, EXECUTE MANAGED TASK ON ACCOUNT TO ROLE "RV_REAPER";

-- Ends each role whose mark says that its time is over. A person can call it, too.
CREATE OR REPLACE PROCEDURE "ROLEVEND"."CONTROL"."REAP"() RETURNS INTEGER LANGUAGE SQL EXECUTE AS CALLER AS
$$
DECLARE
  ended INTEGER DEFAULT 0;
BEGIN
  SHOW ROLES STARTS WITH 'IMMUTA_VENDED_';
  LET over CURSOR FOR
    SELECT "name" AS role, TRY_PARSE_JSON("comment"):rolevend:cluster::VARCHAR AS cluster,
           TRY_PARSE_JSON("comment"):rolevend:uid::VARCHAR AS uid
    FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))
    WHERE TRY_TO_TIMESTAMP_TZ(TRY_PARSE_JSON("comment"):rolevend:expires::VARCHAR) < CURRENT_TIMESTAMP();
  FOR each IN over DO
    LET role VARCHAR := each.role;
    LET cluster VARCHAR := each.cluster;
    LET uid VARCHAR := each.uid;
    INSERT INTO "ROLEVEND"."CONTROL"."LEASE" (ROLE, EVENT, CLUSTER, UID)
      SELECT :role, 'Expired', :cluster, :uid
      WHERE (SELECT COUNT(*) FROM "ROLEVEND"."CONTROL"."LEASE" WHERE ROLE = :role AND EVENT <> 'VENDED') = 0;
    ALTER USER IF EXISTS IDENTIFIER(:role) SET DISABLED = TRUE;
    DROP USER IF EXISTS IDENTIFIER(:role);
    DROP ROLE IF EXISTS IDENTIFIER(:role);
    ended := ended + 1;
  END FOR;
  DELETE FROM "ROLEVEND"."CONTROL"."LEASE"
    WHERE ROLE IN (SELECT ROLE FROM "ROLEVEND"."CONTROL"."LEASE" WHERE EVENT <> 'VENDED' AND RECORDED_AT < DATEADD(DAY, -7, CURRENT_TIMESTAMP()));
  RETURN ended;
END
$$;

-- It acts with the rights of who calls it.
GRANT USAGE ON PROCEDURE "ROLEVEND"."CONTROL"."REAP"() TO ROLE "RV_REAPER";

-- The promise that a role ends in time holds without the operator. An expired lease shows no rows even before.
CREATE TASK IF NOT EXISTS "ROLEVEND"."CONTROL"."REAPER" SCHEDULE = '5 MINUTES' SUSPEND_TASK_AFTER_NUM_FAILURES = 0 SERVERLESS_TASK_MAX_STATEMENT_SIZE = 'XSMALL'
AS CALL "ROLEVEND"."CONTROL"."REAP"();

-- It runs with this role.
GRANT OWNERSHIP ON TASK "ROLEVEND"."CONTROL"."REAPER" TO ROLE "RV_REAPER" COPY CURRENT GRANTS;

-- An administrator may stop and start it, as on the next line.
GRANT OPERATE ON TASK "ROLEVEND"."CONTROL"."REAPER" TO ROLE ACCOUNTADMIN;

-- A task is made suspended.
ALTER TASK "ROLEVEND"."CONTROL"."REAPER" RESUME;

-- A login of the operator. A user of type SERVICE can have no password.
CREATE USER IF NOT EXISTS "ROLEVEND_VENDOR" TYPE = SERVICE DEFAULT_ROLE = "RV_VENDOR" DEFAULT_SECONDARY_ROLES = () DEFAULT_WAREHOUSE = "AGENTS_WH";

-- It logs in by this key alone.
ALTER USER "ROLEVEND_VENDOR" SET RSA_PUBLIC_KEY = 'MIIBvendor';

-- Its only role.
GRANT ROLE "RV_VENDOR" TO USER "ROLEVEND_VENDOR";

-- A login of the operator. A user of type SERVICE can have no password.
CREATE USER IF NOT EXISTS "ROLEVEND_PROGRAMMER" TYPE = SERVICE DEFAULT_ROLE = "RV_PROGRAMMER" DEFAULT_SECONDARY_ROLES = () DEFAULT_WAREHOUSE = "AGENTS_WH";

-- It logs in by this key alone.
ALTER USER "ROLEVEND_PROGRAMMER" SET RSA_PUBLIC_KEY = 'MIIBprogrammer';

-- Its only role.
GRANT ROLE "RV_PROGRAMMER" TO USER "ROLEVEND_PROGRAMMER";

-- Last: by it an operator knows that the account is prepared, and for which version. It needs no warehouse to read it.
ALTER DATABASE "ROLEVEND" SET COMMENT = 'rolevend 2: leases, profiles and policies';
