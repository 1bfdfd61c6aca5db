"""What drops roles, and what keeps record of them."""
