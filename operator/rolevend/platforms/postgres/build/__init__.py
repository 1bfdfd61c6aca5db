"""Build and collect profiles: views, policies and templates, created before a vend."""
