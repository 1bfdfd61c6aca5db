"""The story that `rolevend demo` tells, on the local parts of `parts`: one act after another, each line checked before it is told."""
