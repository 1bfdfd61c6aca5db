-- On a service that gives nobody a superuser: it may make roles, and is the admin of those that it made, and of no others.
CREATE ROLE rv_owner NOLOGIN CREATEROLE;

-- The administrator who installs acts for it from now on: makes its tables and functions, and installs again.
GRANT rv_owner TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;
