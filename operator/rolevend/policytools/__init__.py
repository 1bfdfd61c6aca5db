"""Policy as code: evaluates objects in files with the operator's own functions, without a cluster."""
