"""The conditions of each object: whether it is accepted, ready, attested. Pure."""
