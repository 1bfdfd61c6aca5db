"""Decide about one AccessRequest: a request of an agent for an offer, which is an AccessPolicy that grants only while an approval activates
it. Pure values and functions: no I/O, no framework, no clock.

Terms: `terms`, what an offer asks for and permits.
Life of a request: `request`, `states`, `votes`, `circumstances` are values; `judgement` returns the state now, by `pending` (with `asks`,
`rules` and `history`) or `approved`. `counted` tells of each vote whether it counts.
Use of an approval: `use`.
End: `retention`, which objects are deleted.
Doors: `coalescing`, whether a request exists already; `text`, words of agents and people made harmless.
"""
