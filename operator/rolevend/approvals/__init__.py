"""The AccessRequests of the cluster, for operator and API: one watch, and the use of an approval by a role."""
