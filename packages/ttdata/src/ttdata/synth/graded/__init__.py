"""Sessions of strokes whose amplitude, timing, turn and height are graded, with the truth."""
