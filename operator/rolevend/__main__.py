"""`python -m rolevend`: the same as the command `rolevend`."""

from rolevend.cli import main

main()
