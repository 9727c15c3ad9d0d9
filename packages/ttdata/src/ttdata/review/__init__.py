"""The review queue that people decide on, and their decisions."""
