-- The roles that rolevend stands on, beside rv_owner, which owns the schema rolevend and runs its SECURITY DEFINER functions.
-- A role that is there already is left alone.
-- psql runs these files in the governed database, in the order of their names, inside one transaction, with
--   -v vendor=rv_vendor -v programmer=rv_programmer
-- A file NAME.superuser.sql is run by a superuser only, and NAME.managed.sql where there is none. NAME.observer.sql is run with
--   -v observer=rv_observer
-- where the console shall show what runs. All others are run in every case.

-- Every profile is a member: it may CONNECT to this database, and pg_hba.conf can name all vended roles by it:
--   host  <this database>  +rv_connect  all  scram-sha-256
--   host  all              +rv_connect  all  reject
CREATE ROLE rv_connect NOLOGIN;

-- Every template (the owner of views) is a member. It has no right, but to create a view in a schema while rolevend.hand_over runs.
CREATE ROLE rv_template NOLOGIN;

-- Everybody who was here before rolevend is a member: it keeps what the hardening takes from PUBLIC. Add later roles by hand:
--   GRANT rv_public TO newcomer WITH INHERIT TRUE, SET FALSE
CREATE ROLE rv_public NOLOGIN;

-- The operator's login for vending: a handful of functions, and no table of anybody.
CREATE ROLE :"vendor" LOGIN CONNECTION LIMIT 40;

-- The operator's login for policy: makes templates and profiles, and acts for the owners of the governed tables.
CREATE ROLE :"programmer" LOGIN CONNECTION LIMIT 10;
