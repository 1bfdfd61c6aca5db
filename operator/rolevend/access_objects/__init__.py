"""The objects AccessRequest and AccessDecision in the cluster, for operator and API. Decisions about them are in `access_requests`, pure.

`store`: one watch of AccessRequests, and the writes of their status. `votes`: one of AccessDecisions, with the rights of their authors now.
`circumstances`: the inputs of a judgement. `recorder`: its audit events, metrics and Events. `profiles`: builds the profile of an approved
request before its role. `use`: the approval that a role uses.
"""
