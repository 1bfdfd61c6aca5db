"""An MCP server, `rolevend-mcp`: a model behind any MCP client queries as a role of its own, for the person who uses that client.

`conversations` says which role a call has and when it ends, `issuer` what an identity provider vouches for, `tools` what the model may
call, `serving` runs that over stdio or streamable HTTP, and `settings` reads the environment.

A token that came over HTTP is for this server, and is shown to nobody but the identity provider that issued it: for it the server gets
another one, which is for rolevend and says that the server acts for the person (RFC 8693).
"""
