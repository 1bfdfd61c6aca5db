-- The console's login: it asks what vended roles run now, and can do nothing else.
CREATE ROLE :"observer" LOGIN CONNECTION LIMIT 10;

GRANT USAGE ON SCHEMA rolevend TO :"observer";

GRANT EXECUTE ON FUNCTION rolevend.running TO :"observer";
