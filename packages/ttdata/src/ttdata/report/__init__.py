"""The contents of a dataset as tables, text and one HTML page."""
