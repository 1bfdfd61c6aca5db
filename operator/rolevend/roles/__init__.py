"""The life of one VendedRole, the same for both doors.

`state` reads the object, and `store` keeps the state of this process. `user_authenticator` proves the user, `decision` decides for all
platforms, `quota` limits the roles of an agent, and `vender` creates the role at a `door`. `audit_recorder`, `objects` and `status`
write events, objects and status. `ender` and `expiry` end roles, and `orphans` finds roles that no object claims. `dropper` drops roles,
which `immediate_drops` starts before the object is written. `protocols` holds their common dependencies, `side_effects` the steps
between which a crash can occur.
"""
