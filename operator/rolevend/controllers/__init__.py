"""The Kubernetes edge: kopf's handlers, and the loops that react to events and timers. They parse, call and report.

`handlers` call `reconciler`, which vends one VendedRole, and `watcher`, which handles its events. `reevaluator` and `orphan_sweeper`
find roles that must end, and `api_vends` supervises roles of the API. After each poll of a platform `attestation` tests its isolation,
and `platform_finalizer` keeps the object while roles exist there. `limit_enforcer` enforces the limits of sessions.
`record_follower` reads the roles that databases record, `record_observer` handles them, and `stray_dropper` drops those that nobody vended.
"""
