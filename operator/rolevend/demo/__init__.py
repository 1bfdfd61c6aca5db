"""The local parts that demo, tests and measurements stand on, and the story that the demo tells with them."""
