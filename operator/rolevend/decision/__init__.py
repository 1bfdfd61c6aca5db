"""Decide what one agent may read and use for one user now, and give the reason for a denial. No I/O, no clock.

`snapshot` is the immutable state that every decision reads; `outcome` is the result of a decision. `approval` is an approved request for
an offer, and `offers` are the offers that a user may ask for. `admission` holds the agents that a
platform admits, and their limits; `proof` the proof of the user; `tools` and `tool_visibility` the tools of the agent that the user may
use.
"""
