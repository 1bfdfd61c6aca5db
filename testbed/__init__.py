"""Local servers for demo, tests and benchmarks: a Kubernetes control plane, PostgreSQL, rolevend on both, and a model of Snowflake.

Each stops the processes that it started. No module imports the demo.
"""
