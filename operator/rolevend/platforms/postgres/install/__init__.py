"""Install rolevend in a database: survey, findings, plan of statements."""
