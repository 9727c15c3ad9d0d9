"""The annotation platform: a room of people mark strokes in their browsers."""
