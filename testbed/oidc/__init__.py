"""A small OpenID Connect provider that runs: `identity_provider` starts it, and `token_client` asks it over HTTP.

`registry` says who is registered, `signing` holds its keys, `authentication` says which client calls, `grants` decides what is given for
what, both without HTTP, and `server` serves that. It knows nothing of rolevend's checks of tokens: what is checked should not come
from the one who checks.

Whoever can reach it can be any of its people, whom it takes at their word (`login_hint`), at a client that has no secret. So it listens
on 127.0.0.1 alone, or has no such client.
"""
