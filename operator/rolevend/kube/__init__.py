"""The Kubernetes API, translated: objects are plain dictionaries, failures are errors of `rolevend.errors`. The only door of its client."""
