"""rolevend gives an AI agent a database role of its own, for one task, on behalf of one person, and takes it away again."""

__version__ = "0.2.0"
