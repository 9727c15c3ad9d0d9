"""Many videos as units of work."""
