"""A PostgreSQL server on this machine, started and stopped by the process that uses it: for `rolevend policy test`, and for testbed."""
