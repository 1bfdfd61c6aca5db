"""The edge to agents over HTTP: reads a call, authenticates the caller, calls, and answers. Decides nothing.

`routes` are the calls, and `bodies` reads what is in them; `authenticator` authenticates agent and user; `vend_service` vends a role, whose
object `manifest` describes and `repository` creates; `role_service` shows and releases it; `answers` and `problems` describe the result, as
the document at `/openapi.json` says. `index` knows the objects there are, and `known` what the operator has found out about platforms.
`tracing` is around all of it.
"""
