"""Compute an entitlement from policies, tags and attributes. Pure functions: no I/O, no framework.

Text: `vocabulary`, `predicate`, `round_trip`, `expression` (row filters), `literal`, `pattern`, `cel_tokens`, `cel_types`, `condition`
(CEL).
Statements: `statement`, `requirement`, `selection`, `binding`, `mask`, `contradiction`, `tautology`.
Index: `postings`, `tag_index`, `bitmap`, `policy_compiler`, `guardrail_compiler`, `statement_matches`, `catalog_delta`, `index`.
Decision: `request_context`, `combination`, `decision`, `refusal`, `explanation`.
Profiles: `lowering`, `shape`, `table_policy`.
"""
