-- What a superuser may do without being asked, rv_owner is given here.

-- It makes every profile a member of rv_connect, and every template of rv_template.
GRANT rv_connect, rv_template TO rv_owner WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;

-- It takes away profiles, whose schemas belong to the programmer, and templates, whose rights come from the owners of tables.
GRANT :"programmer" TO rv_owner WITH INHERIT TRUE, SET FALSE;
