"""The work of each `tttrain` subcommand on folders."""
