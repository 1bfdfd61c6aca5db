"""The Kubernetes API. Objects are plain dictionaries, failures are errors of `rolevend.errors`. No other package imports its client."""
