"""Decoders: from a video's class scores over time to its strokes (specification 6.3 to 6.6)."""
