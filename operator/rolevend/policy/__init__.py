"""What is granted, and why: pure functions from policies, tags and attributes to an entitlement. No I/O, no framework.

`expression` is a row predicate as a value, `predicate` makes one from text; `mask` orders the masks; `statement` is what a
policy says; `decision` combines them for one user and one agent.
"""
