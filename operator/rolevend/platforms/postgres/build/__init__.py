"""What builds profiles: views, policies and templates, made ahead of a vend and collected when unused."""
