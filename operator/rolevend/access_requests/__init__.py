"""Decide about one AccessRequest: a request of an agent for an offer, which is an AccessPolicy that grants only while an approval activates
it. Pure values and functions: no I/O, no framework, no clock.

Terms: `terms`, what an offer asks for and permits.
"""
