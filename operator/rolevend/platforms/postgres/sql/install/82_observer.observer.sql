-- The console's login: it asks what vended roles run now, and can do nothing else.
CREATE ROLE :"observer" LOGIN CONNECTION LIMIT 10;

GRANT USAGE ON SCHEMA rolevend TO :"observer";

GRANT EXECUTE ON FUNCTION rolevend.running TO :"observer";

-- Each session asks one question, and a console that disappears leaves none behind. A session can change these for itself; rolevend.curb() ends
-- it then.
ALTER ROLE :"observer" SET statement_timeout = '5s';

ALTER ROLE :"observer" SET lock_timeout = '1s';

ALTER ROLE :"observer" SET idle_in_transaction_session_timeout = '5s';

ALTER ROLE :"observer" SET idle_session_timeout = '5s';

ALTER ROLE :"observer" SET default_transaction_read_only = on;

-- rolevend.curb() ends its sessions, which takes the rights of their role.
GRANT :"observer" TO rv_owner WITH INHERIT TRUE, SET FALSE;
