"""Compute an entitlement from policies, tags and attributes. Pure functions: no I/O, no framework.

Text: `vocabulary`, `predicate`, `round_trip`, `expression` (row filters), `literal`, `pattern`, `cel`, `cel_types`, `condition`.
Statements: `statement`, `offer`, `requirement`, `binding`, `mask`, `tautology`.
Index: `postings`, `tags`, `bitmap`, `policy_compiler`, `guardrail_compiler`, `statement_matches`, `index`.
Decision: `request_context`, `decision`, `refusal`, `explanation`.
Profiles: `lowering`, `table_policy`.
"""
