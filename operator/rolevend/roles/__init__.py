"""The life of one VendedRole, for every door.

`state` reads the object, and `store` keeps what this process knows of it. `user_authenticator` proves the user, `decision` decides for all
platforms, `quota` limits the roles of an agent, and `vender` creates the role at a `door`. `audit_recorder`, `objects` and `status` write
what happened. `ender` and `expiry` end roles, and `orphans` finds those that no object claims. `dropper` drops roles, which
`immediate_drops` starts before the object is written. `protocols` states what all of them need, `side_effects` what a crash can separate.
"""
