"""The objects that decide, as one picture: watched, parsed, judged against each other, and made into a `Directory` that gives verdicts.

Every process that gives verdicts has one of its own: `objects` holds what the informers bring, `painting` turns it into a
`vending.directory.Directory`, and `evaluation` says of each object whether it is accepted. `providers` are those whose tokens are
believed, by the keys that `issuers` keeps at hand. Nothing here vends, ends or asks for a role.
"""
