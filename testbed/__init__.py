"""Starters of real parts on one machine: Kubernetes programs and a control plane, PostgreSQL, rolevend installed on both. And of one that
is a model: Snowflake.

Demo, tests and measurements stand on them. They know nothing of the story, and end what they started.
"""
