"""The composition root: the only place that knows everything. Nothing here decides; it chooses the parts and ties them together."""
