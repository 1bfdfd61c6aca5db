"""The HTTP edge for agents: parse a call, authenticate the caller, call a service, answer. Decides nothing.

`routes` are the calls, and `json_body` reads their content. `authenticator` authenticates agent and user. `vend_service` vends a role,
whose object `manifest` describes and `repository` creates; `role_service` shows and releases it. `responses` and `problems` describe the
result, as the document at `/openapi.json` states. `index` holds all VendedRoles, and `known` the operator's attestation of a platform.
`middleware` surrounds every call.
"""
