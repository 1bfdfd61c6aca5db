"""The HTTP edge for agents: parse a call, authenticate the caller, call a service, answer. Decides nothing.

`routes` are the calls, and `json_body` reads their content. `authenticator` authenticates agent and user. `vend_service` vends a role,
which `repository` records as an object, or `recorded_roles` in the platform's database; `role_service` shows and releases it. `responses`
and `problems` describe the result, as the document at `/openapi.json` states. `middleware` surrounds every call.

`access`: requests for offers. `authzen`: the same by the profiles of OpenID AuthZEN. `confirm`: the page on which the user answers one.
"""
