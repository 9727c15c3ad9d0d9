"""The work of each `ttdata` subcommand on folders."""
