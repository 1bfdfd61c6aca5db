"""The edge to Kubernetes: kopf's handlers and the loops beside them. They parse, call and report; they decide nothing.

`objects` turns what the informers hold into a `vending.directory.Directory` and judges each object; `platforms` keeps a driver at
work for every DataPlatform; `roles` remembers every VendedRole; `handlers` vends and drops them; `clock`, `reconsider` and `sweep`
end them.
"""
