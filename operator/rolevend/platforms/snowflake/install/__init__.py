"""Install rolevend in an account: the script, and its record there."""
