"""What builds profiles: row and masking policies and views, made ahead of a vend and collected when unused."""
