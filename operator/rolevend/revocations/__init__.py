"""How people end live roles now, with who ended them and why.

Pure: `selection` (the roles that match), `texts` (the table, the question, the result).
I/O: `reader` (reads a cluster as the caller may), `ending` (ends roles, and waits until they are gone).
"""
