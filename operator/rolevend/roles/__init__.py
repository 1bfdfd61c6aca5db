"""The life of one VendedRole, for every door.

`state` reads the object, and `store` keeps what this process knows of it. `user_authenticator` proves the user, `decision` decides for all
platforms, `quota` limits the roles of an agent, and `vender` creates the role at a `door`. `audit_recorder`, `objects` and `status` write
what happened. `ender` and `expiry` end roles; `dropper` drops them, and `immediate_drops` begins with that before the object is written.
"""
