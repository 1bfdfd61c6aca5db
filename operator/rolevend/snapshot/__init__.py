"""Watch the objects that decisions depend on, and build one immutable `decision.snapshot.Snapshot` of them after each change.

`controller` runs the informers and publishes, `builder` builds, `conditions` evaluates each object, and `status` renders the result for
its status. `identity_providers` and `issuer_controller` keep the accepted issuers and their keys. Nothing here vends or ends a role.
"""
