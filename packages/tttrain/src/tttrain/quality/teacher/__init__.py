"""The files that a teacher writes."""
