-- Which of these logins have a session.
SELECT DISTINCT a.usename::text FROM pg_stat_activity AS a WHERE a.usename = ANY (%(logins)s::name[]) ORDER BY 1
