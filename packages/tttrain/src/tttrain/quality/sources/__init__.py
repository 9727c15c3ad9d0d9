"""Where strokes to measure come from."""
