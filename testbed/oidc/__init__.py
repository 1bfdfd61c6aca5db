"""A small OpenID Connect provider that runs: `identity_provider` starts it, and `token_client` asks it over HTTP.

`registry` says who is registered, `signing` holds its keys, `authentication` says which client calls, `grants` decides what is given for
what, both without HTTP, and `server` serves that. It knows nothing of rolevend's checks of tokens: what is checked should not come
from the one who checks.

Anyone who can reach it can log in as any of its users without a proof (`login_hint`), at a client without a secret. So it listens only
on 127.0.0.1, or has no such client.
"""
