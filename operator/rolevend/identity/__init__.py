"""Who calls, and for whom, proven from tokens. Below `api` and `reconcile`; knows no Kubernetes, no framework and no kind.

The core is pure: `verification` makes of a token's text, providers, keys and a clock either what is `proven` or a `refusal`. It reads
`compact` tokens with `base64url` and `strict_json`, `registered` claims, `key_set`s, the `delegation` from a person to an agent,
`service_account`s, and attributes by `claim_mapping`, whose CEL is admitted in `claim_expression`; an access token that does not say
that it is one is `untyped`. What a `provider` is, is a value.
The edge is thin: `key_store` keeps keys fresh, `key_fetching` reads them over HTTP, `review` asks the cluster through a Protocol, and
`token_check` ties all of it together. What rolevend itself signs has its `signature`. The only door of joserfc.
"""
