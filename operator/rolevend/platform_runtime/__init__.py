"""A connected driver for each DataPlatform, with a bounded number of threads, its queues and its circuit breaker.

Knows the DataPlatforms and their Secrets, and nothing of requests, policies or kopf.
"""
