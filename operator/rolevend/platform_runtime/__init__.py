"""A driver at work for each DataPlatform: connected, behind bounded threads, its queues and its breaker, replaced when it changes.

Knows the platforms' objects and Secrets, and nothing of requests, policies or kopf.
"""
