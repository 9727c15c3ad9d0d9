"""When the moments of a stroke are."""
