"""What one agent may read and use for one user now, and the reason if it may not. No I/O, no clock.

`snapshot` is the immutable state that every decision reads; `outcome` is what a decision returns. `admission` says which agents a platform
admits, and within which limits; `proof` how a user is proven; `tools` and `tool_visibility` which tools of the agent the user may use.
"""
