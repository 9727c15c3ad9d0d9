"""Measures of detection: how well found strokes agree with true ones (specification 6.1)."""
