"""Metrics, logs and probes. Never a user in a label, never a secret in a log."""
