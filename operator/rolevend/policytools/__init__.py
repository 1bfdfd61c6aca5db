"""Policy as code: what objects in files would do, judged by the operator's own functions, without a cluster."""
