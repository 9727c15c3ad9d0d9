"""Videos as units of work, on Ray."""
