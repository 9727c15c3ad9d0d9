"""How good a stroke is, measured against reference strokes (specification 7)."""
