"""The edge to Kubernetes: kopf's handlers and the loops beside them. They parse, call and report; they decide nothing.

`handlers` (kopf's) call `lifecycle`, which vends and drops one VendedRole by the verdicts of `rolevend.picture`; `clock`, `review` and
`sweep` end them. After each look at a platform `attesting` tries its promises, and `holding` keeps the object while roles live there;
`curb` holds sessions to the limits of their roles.
"""
