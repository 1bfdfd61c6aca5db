"""OpenID AuthZEN: `evaluation` answers whether an agent may read something for a user; `tasks` request it, by a draft that will change.

`denial_binding` seals what a denial says, so that its task is for the same. `schemas` are the bodies, `task_routes` the calls.
"""
