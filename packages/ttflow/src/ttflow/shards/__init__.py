"""The shards folder: written, read and verified."""
