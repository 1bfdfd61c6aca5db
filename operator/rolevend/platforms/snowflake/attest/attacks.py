"""What an agent could try with one statement: each is refused for lack of a right. Of the table `guarded` it has been granted SELECT by
hand, so what is refused there is not refused because nobody may know of the table."""

from rolevend.platforms.snowflake.attest.check import attack

BECOMING_SOMEBODY_ELSE = (
    attack("use the role of another user of its agent", "USE ROLE {bob}", "R3"),
    attack("use the role of another agent", "USE ROLE {victim}", "R3"),
    attack("use the role of another profile", "USE ROLE {victims_profile}", "R3"),
    attack("use the programmer's role", "USE ROLE {programmer_role}", "R3"),
    attack("use the vendor's role", "USE ROLE {vendor_role}", "R3"),
    attack("use an administrator's role", "USE ROLE ACCOUNTADMIN", "R3"),
    attack("have the role of another user as a secondary one", "USE SECONDARY ROLES {bob}", "R3"),
    attack("grant itself the role of another user", "GRANT ROLE {bob} TO USER {eve}", "R9"),
    attack("grant itself another profile", "GRANT ROLE {victims_profile} TO ROLE {eve}", "R9"),
    attack("grant itself the programmer's role", "GRANT ROLE {programmer_role} TO USER {eve}", "R9"),
    attack("grant its role to everybody", "GRANT ROLE {eve} TO ROLE PUBLIC", "R9"),
    attack("grant its role to another user", "GRANT ROLE {eve} TO USER {bob}", "R9"),
    attack("pass its view on", "GRANT SELECT ON VIEW {people} TO ROLE PUBLIC", "R9"),
    attack("pass its view on to a user", "GRANT SELECT ON VIEW {people} TO USER {bob}", "R9"),
    attack("take the marker away", "REVOKE ROLE {marker} FROM ROLE {profile}", "R9"),
    attack("grant itself the leases", "GRANT SELECT ON TABLE {lease} TO ROLE {eve}", "R9"),
)
READING_PAST_THE_VIEW = (
    attack("read a table", "SELECT * FROM {people_table}", "R1", "R25"),
    attack("count a table", "SELECT COUNT(*) FROM {people_table}", "R1"),
    attack("read the view of another profile", "SELECT * FROM {victims_people}", "R1"),
    attack("read the leases", "SELECT * FROM {lease}", "R1"),
    attack("read the secret of hashes", "SELECT * FROM {salt}", "R1"),
    attack("read the profiles", "SELECT * FROM {built}", "R1"),
    attack("read the text of the view", "SELECT GET_DDL('VIEW', 'PEOPLE')", "E22", on_accounts_alone=True),
    attack("read the body of the wall", "DESCRIBE ROW ACCESS POLICY {wall}", "R1"),
)
WRITING = (
    attack("write a lease", "INSERT INTO {lease} (ROLE, EVENT, CLUSTER, UID) VALUES ({eve_text}, 'VENDED', 'c', 'u')", "R1"),
    attack("make its lease longer", "UPDATE {lease} SET EXPIRES_AT = '2999-01-01' WHERE ROLE = {eve_text}", "R1"),
    attack("delete leases", "DELETE FROM {lease}", "R1"),
    attack("insert into a table", "INSERT INTO {guarded_table} VALUES (99, {eu})", "R1"),
    attack("update a table", "UPDATE {guarded_table} SET REGION = {eu}", "R1"),
    attack("delete from a table", "DELETE FROM {guarded_table}", "R1"),
    attack("truncate a table", "TRUNCATE TABLE {guarded_table}", "R1"),
    attack("drop a table", "DROP TABLE {guarded_table}", "R2"),
    attack("add a column", "ALTER TABLE {guarded_table} ADD COLUMN MINE VARCHAR", "R2"),
    attack("own a table", "GRANT OWNERSHIP ON TABLE {guarded_table} TO ROLE {eve} REVOKE CURRENT GRANTS", "R9"),
)
TAKING_POLICIES_OFF = (
    attack("drop every row access policy of a table", "ALTER TABLE {guarded_table} DROP ALL ROW ACCESS POLICIES", "P8"),
    attack("drop the wall from a table", "ALTER TABLE {guarded_table} DROP ROW ACCESS POLICY {wall}", "P8"),
    attack("change what the wall says", "ALTER ROW ACCESS POLICY {wall} SET BODY -> TRUE", "R2"),
    attack("drop the wall", "DROP ROW ACCESS POLICY {wall}", "R2"),
    attack("replace the view", "CREATE OR REPLACE VIEW {people} AS SELECT 1 AS ID", "R1"),
    attack("drop the view", "DROP VIEW {people}", "R2"),
    attack("make the view insecure", "ALTER VIEW {people} UNSET SECURE", "R2"),
    attack("own the view", "GRANT OWNERSHIP ON VIEW {people} TO ROLE {eve} REVOKE CURRENT GRANTS", "R9"),
)
CHANGING_USERS = (
    attack("log in with another key", "ALTER USER {eve} SET RSA_PUBLIC_KEY_2 = 'x'", "R2"),
    attack("live longer", "ALTER USER {eve} SET DAYS_TO_EXPIRY = 90", "R2"),
    attack("be rid of its session policy", "ALTER USER {eve} UNSET SESSION POLICY", "R20"),
    attack("change its mark", "ALTER ROLE {eve} SET COMMENT = ''", "R2"),
    attack("rename its role", "ALTER ROLE {eve} RENAME TO {my_role}", "R2"),
    attack("lock another user out", "ALTER USER {bob} SET DISABLED = TRUE", "R2"),
    attack("change the key of another user", "ALTER USER {bob} SET RSA_PUBLIC_KEY = 'x'", "R2"),
    attack("change the vendor's key", "ALTER USER {vendor} SET RSA_PUBLIC_KEY = 'x'", "R2"),
    attack("drop another user", "DROP USER {bob}", "R2"),
    attack("drop another role", "DROP ROLE {bob}", "R2"),
    attack("create a role", "CREATE ROLE {my_role}", "R1", leaks=False),
    attack("create a user", "CREATE USER {my_role}", "R1", leaks=False),
)
MAKING_THINGS = (
    attack("copy its view into a table", "CREATE TABLE {views}.MINE AS SELECT * FROM {people}", "R4", leaks=False),
    attack("copy its view into a temporary table", "CREATE TEMPORARY TABLE {views}.MINE AS SELECT * FROM {people}", "R4", leaks=False),
    attack("copy a governed table", "CREATE TABLE {mine} AS SELECT * FROM {guarded_table}", "R4"),
    attack("copy a governed table into a temporary one", "CREATE TEMPORARY TABLE {mine} AS SELECT * FROM {guarded_table}", "R4"),
    attack("clone a governed table", "CREATE TABLE {mine} CLONE {guarded_table}", "R4"),
    attack("clone a schema", "CREATE SCHEMA {database}.RV_CANARY_MINE CLONE {schema}", "R4"),
    attack("create a view", "CREATE VIEW {views}.MINE AS SELECT * FROM {people}", "R4", leaks=False),
    attack("create a schema", "CREATE SCHEMA {database}.RV_CANARY_MINE", "R4", leaks=False),
    attack("create a database", "CREATE DATABASE RV_CANARY_MINE", "R4", leaks=False),
    attack("create a warehouse", "CREATE WAREHOUSE RV_CANARY_MINE", "R4", leaks=False),
    attack("create a stage", "CREATE STAGE {views}.MINE", "R4", leaks=False),
    attack("create a task", "CREATE TASK {views}.MINE SCHEDULE = '60 MINUTES' AS SELECT 1", "R4", leaks=False),
    attack("create a share", "CREATE SHARE RV_CANARY_MINE", leaks=False, on_accounts_alone=True),
    attack("create a stream", "CREATE STREAM {views}.MINE ON TABLE {guarded_table}", leaks=False, on_accounts_alone=True),
    attack(
        "create an integration",
        "CREATE NOTIFICATION INTEGRATION RV_CANARY_MINE ENABLED = TRUE TYPE = EMAIL",
        leaks=False,
        on_accounts_alone=True,
    ),
    attack(
        "create a procedure with its own rights",
        "CREATE PROCEDURE {views}.MINE() RETURNS INTEGER LANGUAGE SQL EXECUTE AS OWNER AS 'BEGIN RETURN 1; END'",
        "R4",
        leaks=False,
    ),
    attack("create a row access policy", "CREATE ROW ACCESS POLICY {views}.MINE AS (A VARCHAR) RETURNS BOOLEAN -> TRUE", "R4", leaks=False),
    attack("unload a governed table to a stage", "COPY INTO @{views}.MINE FROM {people_table}", on_accounts_alone=True),
    attack("stop the reaper", "ALTER TASK {database}.CONTROL.REAPER SUSPEND", "R2"),
    attack("resize the warehouse", "ALTER WAREHOUSE {warehouse} SET WAREHOUSE_SIZE = 'LARGE'", "R2", leaks=False),
)
TRIALS = (
    *BECOMING_SOMEBODY_ELSE,
    *READING_PAST_THE_VIEW,
    *WRITING,
    *TAKING_POLICIES_OFF,
    *CHANGING_USERS,
    *MAKING_THINGS,
)
