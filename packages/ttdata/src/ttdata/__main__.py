"""`python -m ttdata` is the `ttdata` command."""

from ttdata.cli import main

main()
