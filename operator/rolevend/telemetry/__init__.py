"""Metrics, logs, probes and the audit events. Never a user in a label, never a secret in a log."""
