"""What drops roles, and ends the sessions that still use them."""
