"""An MCP server, `rolevend-mcp`: the model of any MCP client queries under a separate role, for the person who uses that client.

`sessions` assigns a role to each call and ends it, `issuer` verifies tokens, `assertions` takes those of the enterprise-managed
authorization, `tools` defines the tools, `serving` serves them over stdio or streamable HTTP, and `settings` reads the environment.

A token that arrives over HTTP is for this server. The server sends it only to the identity provider that issued it, and exchanges it for
another token, which is for rolevend and says that the server acts for the person (RFC 8693).
"""
