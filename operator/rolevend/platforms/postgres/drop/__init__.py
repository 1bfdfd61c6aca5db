"""Drop roles, and keep records of them."""
