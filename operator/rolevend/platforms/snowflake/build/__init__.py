"""Build and collect profiles: row and masking policies and views, created before a vend."""
