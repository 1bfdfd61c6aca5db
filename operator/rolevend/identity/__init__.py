"""Verify tokens, and prove agents and users. Below `api` and `controllers`; imports no Kubernetes client, no framework and no kind.

The core is pure: `verification` converts a token's text, providers, keys and a clock to a value of `proven` or a `refusal`. It reads
`compact` tokens with `base64url` and `strict_json`, `registered` claims, `key_set`s, the `delegation` from a user to an agent,
`service_account`s, and attributes by `claim_mapping`, whose CEL is validated in `claim_expression`. `untyped` checks access tokens
without `at+jwt` in the header. A `provider` is a value. The edge is thin: `key_store` keeps keys fresh, `key_fetching` reads them over
HTTP, `review` asks the cluster through a Protocol, and `token_check` combines all of it. `signature` signs rolevend's own texts. The
only package that imports joserfc.
"""
