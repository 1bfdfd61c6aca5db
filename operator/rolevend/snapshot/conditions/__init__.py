"""The conditions of each object, such as Accepted, Ready and Attested. Pure."""
