"""Notify receivers outside of the cluster of AccessRequests on which people decide: by a signed webhook, or as a message for Slack.

A receiver only hears. Nothing here decides, and an answer of a receiver changes nothing but the record of its delivery.
"""
