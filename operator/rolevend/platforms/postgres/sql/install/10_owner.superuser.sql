-- A superuser because a CREATEROLE owner becomes an admin member of every role it makes, and each further role then costs more.
-- Nobody is a member of it, and nobody logs in as it.
CREATE ROLE rv_owner NOLOGIN SUPERUSER;
