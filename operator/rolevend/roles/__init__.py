"""One VendedRole as a request: read from its object, proven by its user's token, written down before anything is made, and reported on.

Whoever vends does these steps, the operator or the API; when and in which order is theirs. Who asks by a token of their own is found by
`who_asks`, and `token_review` has the cluster say whether a ServiceAccount's still holds.
"""
