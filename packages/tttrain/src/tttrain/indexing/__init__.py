"""Whole videos: which strokes were played, and when (specification 6)."""
