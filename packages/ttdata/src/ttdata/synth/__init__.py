"""Synthetic table-tennis training videos, their crowd annotations and the truth."""
