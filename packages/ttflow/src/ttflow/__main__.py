"""`python -m ttflow` is the command `ttflow`."""

from ttflow.cli import main

main()
