"""Read AccessRequests as an approver, and vote on them.

Pure: `wording` and `offer_text` (parts of texts), `listing` (the table), `details` (one request), `history` (precedents and limits),
`narrowing` (the options of a vote), `ballot` (the AccessDecision), `effect_text` (rows and cells in numbers).
I/O: `reader` (reads a cluster), `casting` (creates the AccessDecision, and waits for its result), `previewing` (asks for its effect).
"""
