"""Snowflake. Rendering here is pure: values to SQL text, which an administrator can read before it runs."""
