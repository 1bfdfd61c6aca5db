"""The base of attestations of all platforms: canaries, their tables and profiles, their deployment, and the checks.

Nothing here knows a kind of platform. A driver implements `canaries.Canaries` and `deployment.CanaryDeployment`, and adds its own checks.
"""
