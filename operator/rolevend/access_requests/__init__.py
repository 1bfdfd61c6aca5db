"""Requests for an offer, and their approval: pure values and functions. Knows no Kubernetes, no framework and no clock.

Terms of an offer: `terms`.
"""
