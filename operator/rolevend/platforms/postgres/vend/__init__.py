"""What vends a role: one call of a function of the database."""
