"""The story of `python -m demo`, on the local servers of `testbed`: acts in sequence, each line checked before it is printed."""
