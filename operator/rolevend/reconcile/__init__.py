"""The edge to Kubernetes: kopf's handlers and the loops beside them. They parse, call and report; they decide nothing.

What decides: `objects` holds what the informers bring, `picture` turns it into a `vending.directory.Directory`, and `judgement` says
of each object whether it is accepted; `providers` are those whose tokens are believed. What is done: `handlers` (kopf's) call
`lifecycle`, which vends and drops one VendedRole; `proving` asks the user's token first, by the keys that `issuers` keeps at hand;
`roles` remembers them all; `record` writes down what must be known of a role before it exists, and when it is gone; `clock`, `review`
and `sweep` end them. `platforms` keeps a driver at work for every DataPlatform, with the `keys` of its Secrets and in the threads of its
`executor`; after each look `attesting` tries its promises, and `holding` keeps the object while roles live there. `status` is what a
VendedRole is told.
"""
