"""The story that `python -m demo` tells, on the local parts of `testbed`: one act after another, each line checked before it is told."""
