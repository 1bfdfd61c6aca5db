"""What vends a role, with a user or a key of its own."""
