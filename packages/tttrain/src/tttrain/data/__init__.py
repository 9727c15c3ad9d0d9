"""Clips of a shards folder as batches."""
