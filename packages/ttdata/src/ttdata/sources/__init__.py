"""Annotations and videos that users bring, in any format read."""
