"""What installs rolevend in a database: a survey, the plan of statements, and the files that they come from."""
