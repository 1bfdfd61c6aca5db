"""The edge to Kubernetes: kopf's handlers, and the loops that react to events and timers. They parse, call and report.

`handlers` call `reconciler`, which vends one VendedRole, and `watcher`, which handles its events. `reevaluator` and `sweep` find roles that
must end, and `api_vends` supervises roles of the API. After each look at a platform `attesting` tries its promises, and `holding` keeps the
object while roles live there. `curb` enforces the limits of sessions.
"""
