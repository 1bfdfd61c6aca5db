"""Drop roles, and end the sessions that still use them."""
