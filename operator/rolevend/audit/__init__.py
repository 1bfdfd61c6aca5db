"""The audit: events and their evidence, the journal and its hash chain, receipts, and what verifies them."""
