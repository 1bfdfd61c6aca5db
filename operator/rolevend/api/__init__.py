"""The edge to agents over HTTP: reads a call, proves who makes it, has it done, and answers. Decides nothing.

`routes` are the calls, and `bodies` reads what is in them; `callers` proves the agent and its user; `vends` makes a role, whose object
`objects` describes and `opening` makes; `held` shows and ends it; `answers` and `problems` say what came of it, as the document at
`/openapi.json` describes. `vended_roles` knows those that there are, and `known` what the operator has found out about platforms.
`tracing` is around all of it, and tells by `steps` where the time went.
"""
